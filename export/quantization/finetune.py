"""The short trainings of some recipes: a finished run's model goes on, under a constraint.

Images, their order and augmentation, batch size and loss are those of the run; the optimizer is
SGD with a small rate. Only training images are learned from; the validation images choose among the
states at the end of each pass.

What comes out is kept in the user's cache, by the hash of all that decides it. An export that is
stopped goes on after the fine-tunings that were finished.
"""

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.quantization import pruning_clustering, qat
from export.recipes import Finetuning, Method
from tinysight.files import cache_folder, new_folder
from training.data import Dataset, Splits
from training.data.augment import Augmentation
from training.data.pipeline import batches, epoch_order
from training.finalize import predict
from training.optim.build import loss, optimizer
from training.progress import ProgressCallback
from training.recipes import Recipe
from training.run_folder import Run
from training.tf_keras_setup import keras

_FORMAT = 2
"""Raised when the same settings would give another result."""


@dataclass(frozen=True, slots=True)
class Finetuned:
    """What a fine-tuning gave."""

    model: Any
    """From pixels in [0, 1] to logits; a quantization-aware one takes them in [0, 255]."""
    record: Mapping[str, Any]
    """The settings and what was seen on the way, as JSON."""


@dataclass(frozen=True, slots=True)
class _Technique:
    """How a method makes a model trainable under its constraint, and plain again."""

    begin: Callable[[Any, Finetuning, NDArray[np.uint8]], Any]
    """Model, settings, calibration images: to the model that is trained."""
    callbacks: Callable[[], Sequence[Any]]
    sync_ranges: Callable[[Any], None]
    """Called before the model is evaluated or finished."""
    finish: Callable[[Any], Any]
    """The trained model to the one that is exported."""
    blank: Callable[[Any], Any]
    """The original model to one that takes the weights of what `finish` gives."""
    first_counts: bool
    """Whether the model keeps the constraint before it has been trained on."""


def _begin_aware(model: Any, _: Finetuning, images: NDArray[np.uint8]) -> Any:
    quantized = qat.quantization_aware(model)
    qat.seed_ranges(quantized, model, images)
    return quantized


_TECHNIQUES: Mapping[Method, _Technique] = {
    "quantization_aware": _Technique(
        _begin_aware,
        list,
        qat.settle_weight_ranges,
        qat.finished,
        qat.quantization_aware,
        first_counts=True,
    ),
    "pruning": _Technique(
        lambda model, settings, _: pruning_clustering.pruned(model, settings),
        pruning_clustering.pruning_callbacks,
        lambda _: None,
        pruning_clustering.unpruned,
        keras.models.clone_model,
        first_counts=False,
    ),
    "clustering": _Technique(
        lambda model, settings, _: pruning_clustering.clustered(model, settings),
        list,
        lambda _: None,
        pruning_clustering.unclustered,
        keras.models.clone_model,
        first_counts=True,
    ),
}


def finetune(
    settings: Finetuning,
    run: Run,
    dataset: Dataset,
    splits: Splits,
    calibration: NDArray[np.int64],
    count: ProgressCallback,
) -> Finetuned:
    """Trains the run's model on by `settings`, or takes what an earlier export did.

    Args:
        calibration: indices of the training images that quantization starts from.

    Raises:
        ExportError: tensorflow-model-optimization does not take the model.
    """
    technique = _TECHNIQUES[settings.method]
    entry = cache_folder() / "finetuned" / _key(settings, run, dataset, calibration)
    model = keras.models.load_model(run.model_file)
    if not (entry / "record.json").is_file():
        trained, record = _train(
            technique, settings, model, run, dataset, splits, calibration, count
        )
        with new_folder(entry, overwrite=True) as folder:
            np.savez(folder / "weights.npz", *trained.get_weights())
            (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    blank = technique.blank(model)
    with np.load(entry / "weights.npz") as weights:
        blank.set_weights([weights[name] for name in weights.files])
    return Finetuned(blank, json.loads((entry / "record.json").read_text("utf-8")))


def _train(
    technique: _Technique,
    settings: Finetuning,
    model: Any,
    run: Run,
    dataset: Dataset,
    splits: Splits,
    calibration: NDArray[np.int64],
    count: ProgressCallback,
) -> tuple[Any, dict[str, Any]]:
    """The fine-tuning itself: the plain model at its best, and what was seen on the way."""
    start = time.perf_counter()
    recipe = _recipe(settings, run)
    keras.utils.set_random_seed(recipe.seed)
    images = np.asarray(dataset.images[calibration])
    trained = technique.begin(model, settings, images)
    passes = _passes(settings.epochs, splits.train, recipe.seed)
    steps = [-(-len(order) // recipe.batch_size) for order in passes]
    trained.compile(optimizer=optimizer(recipe, sum(steps)), loss=loss(recipe, len(dataset.labels)))
    augmentation = Augmentation.of(recipe)
    best, accuracies = None, []

    def evaluate(done: int, *, counts: bool) -> None:
        """Measures the model on the validation images, and keeps it where it is the best yet."""
        nonlocal best
        technique.sync_ranges(trained)
        what = f"{_what(settings)}: validating"
        logits = predict(trained, dataset.images, splits.val, count, what)
        right = int((logits.argmax(axis=1) == dataset.targets[splits.val]).sum())
        accuracies.append({"passes": done, "correct": right, "n": len(splits.val)})
        if counts and (best is None or right >= best[0]):
            best = right, done, trained.get_weights()

    evaluate(0, counts=technique.first_counts)
    for done, order in enumerate(passes):
        what = f"{_what(settings)}: pass {done + 1} of {len(passes)}"
        trained.fit(
            batches(
                dataset.images,
                dataset.targets,
                order,
                recipe.batch_size,
                params=augmentation.draw(done, dataset.images.shape, splits.train)
                if augmentation
                else None,
            ),
            initial_epoch=done,
            epochs=done + 1,
            callbacks=[*technique.callbacks(), _progress(partial(count, what), steps[done])],
            verbose=0,
        )
        evaluate(done + 1, counts=True)
    assert best is not None
    _, chosen, weights = best
    trained.set_weights(weights)
    technique.sync_ranges(trained)
    record = {
        **dataclasses.asdict(settings),
        "seed": recipe.seed,
        "batch_size": recipe.batch_size,
        "steps": sum(steps),
        "validation": accuracies,
        "chosen": chosen,
        "seconds": round(time.perf_counter() - start, 1),
        "versions": {
            name: version(name)
            for name in ("tensorflow", "tf-keras", "tensorflow-model-optimization")
        },
    }
    return technique.finish(trained), record


def _recipe(settings: Finetuning, run: Run) -> Recipe:
    """The run's own recipe, but for the optimizer."""
    return dataclasses.replace(
        Recipe(**run.record["recipe"]), optimizer="sgd", learning_rate=settings.learning_rate
    )


def _passes(epochs: float, train: NDArray[np.int64], seed: int) -> list[NDArray[np.int64]]:
    """The training images in the order of each pass; the last one may be a part of all."""
    orders = [epoch_order(train, seed, epoch) for epoch in range(math.ceil(epochs))]
    part = epochs - (len(orders) - 1)
    orders[-1] = orders[-1][: max(1, round(part * len(train)))]
    return orders


def _progress(count: Callable[[int, int], None], steps: int) -> Any:
    return keras.callbacks.LambdaCallback(
        on_batch_end=lambda batch, logs: count(batch + 1, steps)  # noqa: ARG005
    )


def _what(settings: Finetuning) -> str:
    return {
        "quantization_aware": "training for quantization",
        "pruning": "pruning",
        "clustering": "clustering",
    }[settings.method]


def _key(settings: Finetuning, run: Run, dataset: Dataset, calibration: NDArray[np.int64]) -> str:
    """A name for the result: the hash of all that decides it."""
    parts = {
        "format": _FORMAT,
        "settings": dataclasses.asdict(settings),
        "model": _sha256(run.model_file),
        "recipe": run.record["recipe"],
        "data": dataset.fingerprint,
        "splits": run.record["data"]["splits"],
        "calibration": hashlib.sha256(calibration.tobytes()).hexdigest(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
