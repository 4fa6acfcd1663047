"""The end of a run: the one look at the test images, the pictures, the model, the record."""

import csv
import io
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.files import write_bytes
from tinysight.stats import Accuracy
from training.calibration import Confidence
from training.data import Dataset, Indices, Splits
from training.data.pipeline import batches
from training.environment import versions
from training.plots import draw_confusion, draw_curves
from training.progress import ProgressCallback
from training.run_folder import write_record
from training.tf_keras_setup import keras

EVALUATION_BATCH = 500
"""Large enough to be quick, small enough for VGG-sized activations in memory."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training hands over."""

    model: Any
    """Float32, from pixels in [0, 1] to logits."""
    logits: Callable[[Indices, str], NDArray[np.float32]]
    """What it answers to the images of these indices; the text says what is being done."""
    history: list[dict[str, float]]
    seconds: float
    """From the first step to the last, preparations such as frozen features included."""
    trainable: int
    """How many of its parameters were trained."""
    device: dict[str, Any]
    """What computed it, and in which precision."""


def finalize(
    trained: Trained,
    dataset: Dataset,
    splits: Splits,
    record: dict[str, Any],
    out: Path,
) -> None:
    """Writes all that a run folder holds; run.json, which says that it is finished, comes last."""
    model, history = trained.model, trained.history
    # A fold of a cross-validation has no test images: then the validation images are shown.
    parts = [name for name in ("val", "test") if len(getattr(splits, name))]
    logits = {
        name: trained.logits(getattr(splits, name), f"answering {name} images") for name in parts
    }
    accuracy = {
        name: _accuracy(logits[name], dataset.targets[getattr(splits, name)]) for name in parts
    }
    shown = parts[-1]
    value = f"{accuracy[shown].value:.2%} {'test' if shown == 'test' else 'validation'}"
    title = f"{record['recipe']['model']} on {dataset.title}: {value}"
    truth = dataset.targets[getattr(splits, shown)]
    draw_curves(history, title, out / "curves.png")
    draw_confusion(
        truth, logits[shown].argmax(axis=1), dataset.labels, title, out / "confusion.png"
    )
    np.save(out / f"{shown}_logits.npy", logits[shown])
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
            "trainable_parameters": trained.trainable,
            "seconds": {
                "training": trained.seconds,
                "per_epoch": float(np.median([row["seconds"] for row in history])),
            },
            "validation": accuracy["val"].as_json(),
            "test": accuracy["test"].as_json() if "test" in accuracy else None,
            "confidence": _confidence(logits, dataset, splits),
            "device": trained.device,
            "versions": versions(),
        },
    )
    shutil.rmtree(out / "checkpoints", ignore_errors=True)


def _confidence(
    logits: Mapping[str, NDArray[np.float32]], dataset: Dataset, splits: Splits
) -> dict[str, Any]:
    """Chosen on the validation images, shown on the test images."""
    confidence = Confidence.fit(logits["val"], dataset.targets[splits.val])
    abstention = confidence.abstention
    return {
        "temperature": confidence.temperature,
        "abstain": None if abstention is None else abstention.as_json(),
        "test": confidence.evaluate(logits["test"], dataset.targets[splits.test])
        if "test" in logits
        else None,
    }


def predict(
    model: Any, values: NDArray[Any], indices: Indices, count: ProgressCallback, what: str
) -> NDArray[np.float32]:
    """What the model makes of images or features, float32 (n, …), in the order of `indices`."""
    steps = -(-len(indices) // EVALUATION_BATCH)
    report = keras.callbacks.LambdaCallback(
        on_predict_batch_end=lambda batch, logs: count(what, batch + 1, steps)  # noqa: ARG005
    )
    pipeline = batches(values, np.zeros(len(values), np.int64), indices, EVALUATION_BATCH)
    return np.asarray(model.predict(pipeline, verbose=0, callbacks=[report]), dtype=np.float32)


def _accuracy(logits: NDArray[np.float32], targets: NDArray[np.int64]) -> Accuracy:
    return Accuracy(int((logits.argmax(axis=1) == targets).sum()), len(targets))


def _csv(history: list[dict[str, float]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, ["epoch", *history[0]])
    writer.writeheader()
    writer.writerows({"epoch": epoch, **row} for epoch, row in enumerate(history, start=1))
    return stream.getvalue()
