"""The short trainings of some recipes: a finished run's model is trained further, constrained.

Images, their order and augmentation, batch size and loss are those of the run; the optimizer is
SGD with a small learning rate. Only training images are learned from; the validation images choose
among the states at the end of each pass.

The result is kept in the user's cache, by the hash of all that decides it. An export that is
stopped continues after the fine-tunings that were finished.
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
from export.settings import FinetuningRecord
from export.source import ExportSource
from tinysight.files import cache_folder, new_folder
from tinysight.records import RecordError, from_json, load_json, to_json
from tinysight.stats import Accuracy
from training.data.augment import Augmentation
from training.data.pipeline import batches, epoch_order
from training.finalize import predict
from training.optim.build import loss, optimizer
from training.progress import ProgressCallback
from training.recipes import Recipe
from training.tf_keras_setup import keras

_FORMAT = 3
"""Raised when the same settings would give another result, or be recorded otherwise."""
_MAX_RECORD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Finetuned:
    """The result of a fine-tuning."""

    model: Any
    """From pixels in [0, 1] to logits; a quantization-aware one takes them in [0, 255]."""
    record: FinetuningRecord


@dataclass(frozen=True, slots=True)
class _Technique:
    """How a method makes a model trainable under its constraint, and plain again."""

    wrap: Callable[[Any, Finetuning, NDArray[np.uint8]], Any]
    """Model, settings, calibration images: to the model that is trained."""
    callbacks: Callable[[], Sequence[Any]]
    """Keras callbacks of the training."""
    sync_ranges: Callable[[Any], None]
    """Called before the model is evaluated or unwrapped."""
    unwrap: Callable[[Any], Any]
    """The trained model to the one that is exported."""
    new_model: Callable[[Any], Any]
    """The original model to one that takes the weights of what `unwrap` gives."""
    may_keep_initial: bool
    """Whether the model satisfies the constraint before its first step."""


def _wrap_quantization_aware(model: Any, _: Finetuning, images: NDArray[np.uint8]) -> Any:
    quantized = qat.quantization_aware(model)
    qat.seed_ranges(quantized, model, images)
    return quantized


_TECHNIQUES: Mapping[Method, _Technique] = {
    "quantization_aware": _Technique(
        _wrap_quantization_aware,
        list,
        qat.sync_weight_ranges,
        qat.finished,
        qat.quantization_aware,
        may_keep_initial=True,
    ),
    "pruning": _Technique(
        lambda model, settings, _: pruning_clustering.pruned(model, settings),
        pruning_clustering.pruning_callbacks,
        lambda _: None,
        pruning_clustering.unpruned,
        keras.models.clone_model,
        may_keep_initial=False,
    ),
    "clustering": _Technique(
        lambda model, settings, _: pruning_clustering.clustered(model, settings),
        list,
        lambda _: None,
        pruning_clustering.unclustered,
        keras.models.clone_model,
        may_keep_initial=True,
    ),
}


def finetune(settings: Finetuning, source: ExportSource, count: ProgressCallback) -> Finetuned:
    """Fine-tunes the run's model by `settings`, or takes the result of an earlier export.

    Raises:
        ExportError: tensorflow-model-optimization does not take the model.
    """
    technique = _TECHNIQUES[settings.method]
    entry = cache_folder() / "finetuned" / _key(settings, source)
    model = keras.models.load_model(source.run.model_file)
    record = _cached_record(entry)
    if record is None:
        trained, record = _Training(technique, settings, source, count).run(model)
        with new_folder(entry, overwrite=True) as folder:
            np.savez(folder / "weights.npz", *trained.get_weights())
            (folder / "record.json").write_text(json.dumps(to_json(record)), encoding="utf-8")
    result = technique.new_model(model)
    with np.load(entry / "weights.npz") as weights:
        result.set_weights([weights[name] for name in weights.files])
    return Finetuned(result, record)


def _cached_record(entry: Path) -> FinetuningRecord | None:
    """The record of a finished fine-tuning; None where there is none, or a damaged one."""
    try:
        return from_json(
            FinetuningRecord, load_json(entry / "record.json", _MAX_RECORD_BYTES), "record.json"
        )
    except (FileNotFoundError, RecordError):
        return None


class _Training:
    """One fine-tuning, and the best state that it has seen."""

    def __init__(
        self,
        technique: _Technique,
        settings: Finetuning,
        source: ExportSource,
        count: ProgressCallback,
    ) -> None:
        self._technique, self._settings = technique, settings
        self._source, self._count = source, count
        self._accuracies: list[Accuracy] = []
        self._chosen = 0
        self._weights: list[NDArray[np.float32]] = []

    def run(self, model: Any) -> tuple[Any, FinetuningRecord]:
        """The plain model at its best, and its record."""
        start = time.perf_counter()
        settings, source = self._settings, self._source
        recipe = _recipe(settings, source)
        keras.utils.set_random_seed(recipe.seed)
        trained = self._technique.wrap(model, settings, source.images(source.calibration))
        passes = _passes(settings.epochs, source.splits.train, recipe.seed)
        steps = [-(-len(order) // recipe.batch_size) for order in passes]
        trained.compile(
            optimizer=optimizer(recipe, sum(steps)), loss=loss(recipe, len(source.dataset.labels))
        )
        self._evaluate(trained, keep=self._technique.may_keep_initial)
        for done, order in enumerate(passes):
            what = f"{_title(settings)}: pass {done + 1} of {len(passes)}"
            self._pass(trained, recipe, order, done, partial(self._count, what))
            self._evaluate(trained, keep=True)
        trained.set_weights(self._weights)
        self._technique.sync_ranges(trained)
        record = FinetuningRecord(
            settings=settings,
            seed=recipe.seed,
            batch_size=recipe.batch_size,
            steps=sum(steps),
            validation=tuple(self._accuracies),
            chosen=self._chosen,
            seconds=round(time.perf_counter() - start, 1),
            versions={
                name: version(name)
                for name in ("tensorflow", "tf-keras", "tensorflow-model-optimization")
            },
        )
        return self._technique.unwrap(trained), record

    def _pass(
        self,
        trained: Any,
        recipe: Recipe,
        order: NDArray[np.int64],
        done: int,
        count: Callable[[int, int], None],
    ) -> None:
        """Trains on images in an order; `done` passes were made before."""
        dataset = self._source.dataset
        augmentation = Augmentation.of(recipe)
        params = (
            augmentation.draw(done, dataset.images.shape, self._source.splits.train)
            if augmentation
            else None
        )
        steps = -(-len(order) // recipe.batch_size)
        trained.fit(
            batches(dataset.images, dataset.targets, order, recipe.batch_size, params=params),
            initial_epoch=done,
            epochs=done + 1,
            callbacks=[*self._technique.callbacks(), _progress(count, steps)],
            verbose=0,
        )

    def _evaluate(self, trained: Any, *, keep: bool) -> None:
        """Measures the state on the validation images, and keeps it where it is the best so far."""
        self._technique.sync_ranges(trained)
        dataset, val = self._source.dataset, self._source.splits.val
        what = f"{_title(self._settings)}: validating"
        logits = predict(trained, dataset.images, val, self._count, what)
        correct = int((logits.argmax(axis=1) == dataset.targets[val]).sum())
        index = len(self._accuracies)
        self._accuracies.append(Accuracy(correct, len(val)))
        if keep and (not self._weights or correct >= self._accuracies[self._chosen].correct):
            self._chosen, self._weights = index, trained.get_weights()


def _recipe(settings: Finetuning, source: ExportSource) -> Recipe:
    """The run's own recipe, except for the optimizer."""
    return dataclasses.replace(
        source.run.record.recipe, optimizer="sgd", learning_rate=settings.learning_rate
    )


def _passes(epochs: float, train: NDArray[np.int64], seed: int) -> list[NDArray[np.int64]]:
    """The training images in the order of each pass; the last one may be partial."""
    orders = [epoch_order(train, seed, epoch) for epoch in range(math.ceil(epochs))]
    part = epochs - (len(orders) - 1)
    orders[-1] = orders[-1][: max(1, round(part * len(train)))]
    return orders


def _progress(count: Callable[[int, int], None], steps: int) -> Any:
    return keras.callbacks.LambdaCallback(
        on_batch_end=lambda batch, logs: count(batch + 1, steps)  # noqa: ARG005
    )


def _title(settings: Finetuning) -> str:
    return {
        "quantization_aware": "training for quantization",
        "pruning": "pruning",
        "clustering": "clustering",
    }[settings.method]


def _key(settings: Finetuning, source: ExportSource) -> str:
    """A name for the result: the hash of all that decides it."""
    parts = {
        "format": _FORMAT,
        "settings": to_json(settings),
        "model": source.model_sha256,
        "recipe": to_json(source.run.record.recipe),
        "data": source.dataset.fingerprint,
        "splits": to_json(source.run.record.data.splits),
        "calibration": hashlib.sha256(source.calibration.tobytes()).hexdigest(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
