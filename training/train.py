"""Trains one model into a run folder, epoch by epoch, so that it can go on after any stop."""

import csv
import io
import platform
import shutil
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tinysight import device
from tinysight.atomic import write_bytes
from tinysight.statistics import Accuracy
from training import checkpoint
from training.data import Dataset, Splits, split
from training.keras import keras, tf
from training.models import MODELS
from training.pipeline import batches, epoch_order
from training.plots import draw_confusion, draw_curves
from training.recipes import Recipe
from training.run import Run, RunError, read_record, write_record

EVALUATION_BATCH = 500
"""Large enough to be quick, small enough for VGG-sized activations in memory."""


class Progress(Protocol):
    """What a training tells about itself; the command line draws it."""

    def started(self, done: int, epochs: int) -> None: ...
    def step(self, epoch: int, done: int, steps: int) -> None: ...
    def finished_epoch(self, epoch: int, row: dict[str, float]) -> None: ...


def train(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    progress: Progress,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> Run:
    """Trains `recipe` on `dataset` and writes the run folder `out`.

    With `resume`, a run that was stopped goes on after its last finished epoch; one that had not
    begun is begun, and a finished one is returned as it is.

    Raises:
        RunError: `out` exists and neither `resume` nor `overwrite` is given; or the run to
            resume was begun with another recipe or other data.
    """
    splits = split(dataset, recipe.seed, recipe.val_fraction)
    record = _prepare(recipe, dataset, splits, out, resume=resume, overwrite=overwrite)
    if record["status"] == "finished":
        return Run(out, record)

    keras.utils.set_random_seed(recipe.seed)
    model = MODELS[recipe.model](dataset.images.shape[1:], len(dataset.labels))
    model.compile(
        optimizer=keras.optimizers.Adam(recipe.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    checkpoints = out / "checkpoints"
    history = checkpoint.restore(checkpoints, model)
    progress.started(len(history), recipe.epochs)
    validation = batches(dataset.images, dataset.targets, splits.val, EVALUATION_BATCH)
    for epoch in range(len(history), recipe.epochs):
        history.append(_epoch(model, recipe, dataset, splits, validation, epoch, progress))
        checkpoint.save(checkpoints, model, history)
        write_record(out, {**record, "epochs_done": len(history)})
        progress.finished_epoch(epoch, history[-1])

    _finish(model, dataset, splits, history, record, out)
    return Run(out, read_record(out))


def _prepare(
    recipe: Recipe, dataset: Dataset, splits: Splits, out: Path, *, resume: bool, overwrite: bool
) -> dict[str, Any]:
    """Returns the record to fill; writes it, so that an interrupted run knows what it is."""
    record = {
        "status": "training",
        "recipe": recipe.as_json(),
        "data": {
            "name": dataset.name,
            "title": dataset.title,
            "source": dataset.source,
            "fingerprint": dataset.fingerprint,
            "attribution": dataset.attribution,
            "labels": list(dataset.labels),
            "shape": list(dataset.images.shape[1:]),
            "notes": list(dataset.notes),
            "splits": {
                name: {"n": len(indices), "sha256": splits.hashes()[name]}
                for name, indices in splits.items()
            },
        },
    }
    if (out / "run.json").exists() and resume:
        old = read_record(out)
        for key in ("recipe", "data"):
            theirs = {k: v for k, v in old[key].items() if k != "source"}
            if theirs != {k: v for k, v in record[key].items() if k != "source"}:  # type: ignore[attr-defined]
                raise RunError(
                    f"{out} was begun with another {key}: resume with the same arguments, "
                    "or choose another --out"
                )
        return old
    if out.exists() and any(out.iterdir()):
        if not overwrite:
            raise RunError(f"{out} exists: --resume goes on with it, --overwrite replaces it")
        if not (out / "run.json").exists():
            raise RunError(f"{out} is not a run folder; it is not replaced")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    record["started"] = datetime.now(UTC).isoformat(timespec="seconds")
    write_record(out, record)
    return record


def _epoch(
    model: Any,
    recipe: Recipe,
    dataset: Dataset,
    splits: Splits,
    validation: Any,
    epoch: int,
    progress: Progress,
) -> dict[str, float]:
    order = epoch_order(splits.train, recipe.seed, epoch)
    steps = -(-len(order) // recipe.batch_size)
    report = keras.callbacks.LambdaCallback(
        on_batch_end=lambda batch, logs: progress.step(epoch, batch + 1, steps)  # noqa: ARG005
    )
    start = time.perf_counter()
    fit = model.fit(
        batches(dataset.images, dataset.targets, order, recipe.batch_size),
        validation_data=validation,
        initial_epoch=epoch,
        epochs=epoch + 1,
        callbacks=[report],
        verbose=0,
    )
    row = {name: float(values[-1]) for name, values in fit.history.items()}
    return {**row, "seconds": time.perf_counter() - start}


def _finish(
    model: Any,
    dataset: Dataset,
    splits: Splits,
    history: list[dict[str, float]],
    record: dict[str, Any],
    out: Path,
) -> None:
    """The one look at the test images, the pictures, and at last the record that says so."""
    logits = {name: predict(model, dataset, getattr(splits, name)) for name in ("val", "test")}
    answers = {name: values.argmax(axis=1) for name, values in logits.items()}
    accuracy = {
        name: Accuracy(int((answers[name] == dataset.targets[indices]).sum()), len(indices))
        for name, indices in splits.items()
        if name in logits
    }
    title = f"{record['recipe']['model']} on {dataset.title}: {accuracy['test'].value:.2%} test"
    truth = dataset.targets[splits.test]
    draw_curves(history, title, out / "curves.png")
    draw_confusion(truth, answers["test"], dataset.labels, title, out / "confusion.png")
    np.save(out / "test_logits.npy", logits["test"])
    write_bytes(out / "history.csv", _csv(history).encode())
    model.save(out / ".part.keras")  # Keras insists on the ending
    (out / ".part.keras").replace(out / "model.keras")
    write_record(
        out,
        {
            **record,
            "status": "finished",
            "epochs_done": len(history),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "parameters": int(model.count_params()),
            "seconds": {
                "training": sum(row["seconds"] for row in history),
                "per_epoch": float(np.median([row["seconds"] for row in history])),
            },
            "validation": accuracy["val"].as_json(),
            "test": accuracy["test"].as_json(),
            "device": describe_device(),
            "versions": versions(),
        },
    )
    shutil.rmtree(out / "checkpoints")


def predict(model: Any, dataset: Dataset, indices: NDArray[np.int64]) -> NDArray[np.float32]:
    """The logits, float32 (n, classes), in the order of `indices`."""
    pipeline = batches(dataset.images, dataset.targets, indices, EVALUATION_BATCH)
    return np.asarray(model.predict(pipeline, verbose=0), dtype=np.float32)


def versions() -> dict[str, str]:
    """The versions that can change what a run gives."""
    packages = ("tinysight", "tensorflow", "tf-keras", "numpy", "scikit-learn", "pillow")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def describe_device() -> dict[str, Any]:
    """Where the run was computed, accelerators and precision included."""
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    precision = keras.mixed_precision.global_policy().name
    return {**device.describe(), "gpus": gpus, "precision": precision}


def _csv(history: list[dict[str, float]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, ["epoch", *history[0]])
    writer.writeheader()
    writer.writerows({"epoch": epoch, **row} for epoch, row in enumerate(history, start=1))
    return stream.getvalue()
