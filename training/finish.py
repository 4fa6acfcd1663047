"""The end of a run: the one look at the test images, the pictures, the model, the record."""

import csv
import io
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.atomic import write_bytes
from tinysight.statistics import Accuracy
from training.data import Dataset, Splits
from training.environment import versions
from training.pipeline import batches
from training.plots import draw_confusion, draw_curves
from training.run import write_record

EVALUATION_BATCH = 500
"""Large enough to be quick, small enough for VGG-sized activations in memory."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training hands over."""

    model: Any
    """Float32, from pixels in [0, 1] to logits."""
    history: list[dict[str, float]]
    seconds: float
    """From the first step to the last, preparations such as frozen features included."""
    trainable: int
    """How many of its parameters were trained."""
    device: dict[str, Any]
    """What computed it, and in which precision."""


def finish(
    trained: Trained, dataset: Dataset, splits: Splits, record: dict[str, Any], out: Path
) -> None:
    """Writes all that a run folder holds; run.json, which says that it is finished, comes last."""
    model, history = trained.model, trained.history
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
            "trainable_parameters": trained.trainable,
            "seconds": {
                "training": trained.seconds,
                "per_epoch": float(np.median([row["seconds"] for row in history])),
            },
            "validation": accuracy["val"].as_json(),
            "test": accuracy["test"].as_json(),
            "device": trained.device,
            "versions": versions(),
        },
    )
    shutil.rmtree(out / "checkpoints", ignore_errors=True)


def predict(model: Any, dataset: Dataset, indices: NDArray[np.int64]) -> NDArray[np.float32]:
    """The logits, float32 (n, classes), in the order of `indices`."""
    pipeline = batches(dataset.images, dataset.targets, indices, EVALUATION_BATCH)
    return np.asarray(model.predict(pipeline, verbose=0), dtype=np.float32)


def _csv(history: list[dict[str, float]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, ["epoch", *history[0]])
    writer.writeheader()
    writer.writerows({"epoch": epoch, **row} for epoch, row in enumerate(history, start=1))
    return stream.getvalue()
