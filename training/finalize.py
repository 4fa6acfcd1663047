"""The end of a run: it is evaluated on the test images, once, and its folder written."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.files import move_into_place
from tinysight.provenance import TrainingDevice, TrainingSeconds
from tinysight.stats import Accuracy
from training.calibration import fit_confidence
from training.data import Dataset, Indices, Splits
from training.data.augment import AugmentationParams
from training.data.pipeline import batches
from training.environment import versions
from training.plots import draw_confusion, draw_curves
from training.progress import ProgressCallback
from training.run_folder import History, RunRecord, RunResult, write_history, write_record
from training.tf_keras_setup import keras

EVALUATION_BATCH = 500
"""Images per batch: large enough to be fast, small enough for VGG16's activations in memory."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model, before it is evaluated."""

    model: Any
    """Float32, from pixels in [0, 1] to logits."""
    logits: Callable[[Indices, str], NDArray[np.float32]]
    """From image indices, and a text for the progress bar, to the model's logits."""
    history: History
    seconds: float
    """From the first step to the last, with what had to be computed before, such as features."""
    trainable: int
    """Number of trained parameters."""
    device: TrainingDevice


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """The logits of one part of the data."""

    logits: NDArray[np.float32]
    targets: NDArray[np.int64]

    @property
    def accuracy(self) -> Accuracy:
        return Accuracy(int((self.logits.argmax(axis=1) == self.targets).sum()), len(self.targets))


def finalize(
    trained: Trained, dataset: Dataset, splits: Splits, record: RunRecord, out: Path
) -> RunRecord:
    """Writes the rest of the run folder; run.json, which says that it is finished, comes last."""

    def evaluate(name: str, indices: Indices) -> _Evaluated:
        logits = trained.logits(indices, f"evaluating {name} images")
        return _Evaluated(logits, dataset.targets[indices])

    validation = evaluate("validation", splits.val)
    # A fold of a cross-validation has no test images.
    test = evaluate("test", splits.test) if len(splits.test) else None
    _draw(trained.history, validation, test, record, dataset.labels, out)
    plotted, name = (validation, "val") if test is None else (test, "test")
    np.save(out / f"{name}_logits.npy", plotted.logits)
    write_history(out, trained.history)
    trained.model.save(out / ".part.keras")  # Keras requires the suffix
    move_into_place(out / ".part.keras", out / "model.keras")
    record = replace(record, result=_result(trained, validation, test))
    write_record(out, record)
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    return record


def predict(
    model: Any,
    values: NDArray[Any],
    indices: Indices,
    on_progress: ProgressCallback,
    what: str,
    params: AugmentationParams | None = None,
) -> NDArray[np.float32]:
    """A model's outputs, float32 (n, …), in the order of `indices`.

    Args:
        model: a Keras model.
        values: uint8 images (n, h, w, 3), or float features.
        indices: of the images to predict.
        on_progress: called after each batch.
        what: names the work for `on_progress`.
        params: augmentation of the images; None for none.
    """
    steps = -(-len(indices) // EVALUATION_BATCH)
    report = keras.callbacks.LambdaCallback(
        on_predict_batch_end=lambda batch, logs: on_progress(what, batch + 1, steps)  # noqa: ARG005
    )
    no_targets = np.zeros(len(values), np.int64)
    pipeline = batches(values, no_targets, indices, EVALUATION_BATCH, params=params)
    return np.asarray(model.predict(pipeline, verbose=0, callbacks=[report]), dtype=np.float32)


def _draw(
    history: History,
    validation: _Evaluated,
    test: _Evaluated | None,
    record: RunRecord,
    labels: tuple[str, ...],
    out: Path,
) -> None:
    plotted, name = (validation, "validation") if test is None else (test, "test")
    accuracy = f"{plotted.accuracy.value:.2%} {name} accuracy"
    title = f"{record.recipe.model} on {record.data.title}: {accuracy}"
    draw_curves(history, title, out / "curves.png")
    predicted = plotted.logits.argmax(axis=1)
    draw_confusion(plotted.targets, predicted, labels, title, out / "confusion.png")


def _result(trained: Trained, validation: _Evaluated, test: _Evaluated | None) -> RunResult:
    confidence = fit_confidence(validation.logits, validation.targets)
    return RunResult(
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        parameters=int(trained.model.count_params()),
        trainable_parameters=trained.trainable,
        seconds=TrainingSeconds(
            training=trained.seconds,
            per_epoch=float(np.median([row["seconds"] for row in trained.history])),
        ),
        validation=validation.accuracy,
        test=None if test is None else test.accuracy,
        temperature=confidence.temperature,
        abstention=confidence.abstention,
        curve=confidence.curve,
        confidence=None if test is None else confidence.evaluate(test.logits, test.targets),
        device=trained.device,
        versions=versions(),
    )
