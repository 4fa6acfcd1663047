"""The only place that knows how `training` keeps its records: everything else here is typed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.passes import ExportError
from tinysight.bundle import Abstention
from tinysight.provenance import (
    ConfidenceRecord,
    IndexSet,
    TeacherRecord,
    ThresholdPoint,
    TrainingDevice,
    TrainingRecord,
    TrainingSeconds,
)
from tinysight.records import RecordError, from_json
from tinysight.stats import Accuracy
from training.calibration import Confidence
from training.recipes import Recipe
from training.run_folder import Run


@dataclass(frozen=True, slots=True)
class RecordedData:
    """What run.json says of the data that the run was trained on."""

    source: str
    """A name or a path: what `training.data.load_dataset` takes."""
    size: tuple[int, int]
    """Height and width of the images."""
    fingerprint: str
    splits: Mapping[str, IndexSet]
    """`train`, `val` and `test`."""


def recorded_data(run: Run) -> RecordedData:
    """Raises ExportError where run.json is malformed, as the next two do."""
    with _one_line(run):
        data = run.record["data"]
        return RecordedData(
            source=data["source"],
            size=(data["shape"][0], data["shape"][1]),
            fingerprint=data["fingerprint"],
            splits={
                part: from_json(IndexSet, data["splits"][part], part)
                for part in ("train", "val", "test")
            },
        )


def training_recipe(run: Run) -> Recipe:
    """The recipe that the run was trained by."""
    with _one_line(run):
        return Recipe(**run.record["recipe"])


def training_record(run: Run, macs: int) -> TrainingRecord:
    """What bundle.json says of the training; `macs` are the model's for one image."""
    with _one_line(run):
        record = run.record
        return TrainingRecord(
            model=record["recipe"]["model"],
            recipe=record["recipe"],
            parameters=record["parameters"],
            macs=macs,
            seconds=from_json(TrainingSeconds, record["seconds"], "seconds"),
            device=from_json(TrainingDevice, record["device"], "device"),
            versions=record["versions"],
            validation=from_json(Accuracy, record["validation"], "validation"),
            test=record["test"] and from_json(Accuracy, record["test"], "test"),
            teachers=tuple(
                from_json(TeacherRecord, teacher, f"teachers[{i}]")
                for i, teacher in enumerate(record.get("teachers", ()))
            ),
        )


def abstention_record(confidence: Confidence) -> Abstention | None:
    """The recommended threshold; None where none keeps the rule."""
    if confidence.abstention is None:
        return None
    content = confidence.abstention.as_json()
    return Abstention(
        threshold=content["threshold"],
        rule=content["rule"],
        coverage=content["coverage"],
        accuracy=content["accuracy"],
    )


def threshold_curve(confidence: Confidence) -> tuple[ThresholdPoint, ...]:
    """What other thresholds give on the validation images."""
    if confidence.abstention is None:
        return ()
    return tuple(ThresholdPoint(*point) for point in confidence.abstention.as_json()["curve"])


def confidence_record(
    confidence: Confidence, logits: NDArray[np.float32], targets: NDArray[np.int64]
) -> ConfidenceRecord:
    """How good the probabilities are on images that chose nothing; logits (n, classes)."""
    content = confidence.evaluate(logits, targets)
    error = content["calibration_error"]
    return ConfidenceRecord(
        n=content["n"],
        bins=error["bins"],
        error_before=error["before"],
        error=error["after"],
        coverage=content.get("coverage"),
        accuracy=content.get("accuracy"),
    )


@contextmanager
def _one_line(run: Run) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise ExportError(f"{run.folder / 'run.json'}: {error.args[0]} is missing") from None
    except (RecordError, TypeError, ValueError, IndexError) as error:
        raise ExportError(f"{run.folder / 'run.json'}: {error}") from None
