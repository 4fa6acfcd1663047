"""A run folder: what one training wrote, and how the next stage reads it.

run.json         a `RunRecord`: recipe, data, splits; and when it is finished, accuracies and times
model.keras      the trained model: float32 pixels in [0, 1] to logits
history.csv      loss and accuracy of each epoch
test_logits.npy  float32 (n, classes), in the order of the test indices; val_logits.npy where the
                 run has no test images
curves.png       the history, plotted
confusion.png    the confusion matrix of the test images
checkpoints/     while it trains: the last finished epoch
"""

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tinysight.bundle import Abstention, check_sha256
from tinysight.errors import TinysightError
from tinysight.files import write_bytes
from tinysight.provenance import (
    ConfidenceRecord,
    IndexSet,
    TeacherRecord,
    ThresholdPoint,
    TrainingDevice,
    TrainingSeconds,
)
from tinysight.records import RecordError, from_json, load_json, to_json
from tinysight.stats import Accuracy
from training.recipes import Recipe, recipe_of

FORMAT = 2
"""Raised when a reader of the old format would misunderstand the new one."""
MAX_BYTES = 16 << 20
"""Of run.json; a real one has some KB."""


History = list[dict[str, float]]
"""A row per finished epoch: loss, accuracy, val_loss, val_accuracy, and seconds."""


class RunError(TinysightError):
    """A run folder that is missing, unfinished, damaged, or in the way."""


@dataclass(frozen=True, slots=True)
class RunSplits:
    """Which images served for what, by their indices' hashes."""

    train: IndexSet
    val: IndexSet
    test: IndexSet


@dataclass(frozen=True, slots=True)
class RunData:
    """The data of a run: `training.data.Dataset`, and how it was split."""

    name: str
    title: str
    source: str
    """What `training.data.load_dataset` was given: a name, or an absolute path."""
    fingerprint: str
    """SHA-256 over labels, targets and pixels."""
    attribution: str
    labels: tuple[str, ...]
    shape: tuple[int, int, int]
    """Height, width and channels."""
    notes: tuple[str, ...]
    splits: RunSplits

    def __post_init__(self) -> None:
        check_sha256(self.fingerprint)
        if len(self.labels) < 2:
            raise ValueError("there must be at least two labels")
        if min(self.shape) < 1:
            raise ValueError(f"an image of the shape {self.shape}")


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a finished run gave."""

    finished: str
    """Date and time in UTC, ISO 8601."""
    parameters: int
    trainable_parameters: int
    seconds: TrainingSeconds
    validation: Accuracy
    test: Accuracy | None
    """None where the run has no test images, as a fold of a cross-validation."""
    temperature: float
    abstention: Abstention
    curve: tuple[ThresholdPoint, ...]
    """Coverage and accuracy by threshold of the probability, on the validation images."""
    confidence: ConfidenceRecord | None
    """On the test images; None without them."""
    device: TrainingDevice
    versions: Mapping[str, str]

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ValueError("the temperature must be above 0, and finite")
        if not 0 <= self.trainable_parameters <= self.parameters:
            raise ValueError(
                f"{self.trainable_parameters} of {self.parameters} parameters trainable"
            )


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The content of run.json."""

    recipe: Recipe
    data: RunData
    started: str
    """Date and time in UTC, ISO 8601."""
    teachers: tuple[TeacherRecord, ...] = ()
    """Those that it is distilled from."""
    result: RunResult | None = None
    """None until the run is finished."""

    def __post_init__(self) -> None:
        recipe_of(self.recipe.model)  # raises ValueError for an unknown model

    def difference(self, other: "RunRecord") -> str | None:
        """Which of "recipe" and "data" differs; None where the one can be resumed as the other."""
        if self.recipe != other.recipe:
            return "recipe"
        # The data may have moved; what it holds is in the fingerprint.
        return None if replace(self.data, source="") == replace(other.data, source="") else "data"


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run on disk."""

    folder: Path
    record: RunRecord

    def __post_init__(self) -> None:
        if self.record.result is None:
            raise ValueError(f"the run {self.folder} is not finished")

    @property
    def result(self) -> RunResult:
        assert self.record.result is not None
        return self.record.result

    @property
    def model_file(self) -> Path:
        return self.folder / "model.keras"


def write_record(folder: Path, record: RunRecord) -> None:
    text = json.dumps({"format": FORMAT, **to_json(record)}, indent=2) + "\n"
    write_bytes(folder / "run.json", text.encode())


def read_record(folder: Path) -> RunRecord:
    """Reads run.json, finished or not. Raises RunError in one line."""
    path = folder / "run.json"
    try:
        content = load_json(path, MAX_BYTES)
        if not isinstance(content, dict) or "format" not in content:
            raise RecordError("not a run record")
        if content.pop("format") != FORMAT:
            raise RecordError(f"not of format {FORMAT}, which this version reads: train it anew")
        return from_json(RunRecord, content)
    except FileNotFoundError:
        raise RunError(f"{folder} is not a run folder: it has no run.json") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from None
    except RecordError as error:
        raise RunError(f"{path}: {error}") from None


def load_run(folder: Path) -> Run:
    """Returns a finished run. Raises RunError where there is none."""
    record = read_record(folder)
    if record.result is None:
        raise RunError(
            f"{folder} is not finished ({_epochs_done(folder)} of {record.recipe.epochs} epochs): "
            "continue it with `python -m training run … --resume`"
        )
    run = Run(folder, record)
    if not run.model_file.is_file():
        raise RunError(f"{run.model_file} is missing")
    return run


def newest_checkpoint(checkpoints: Path) -> Path | None:
    """The checkpoint of the latest epoch that was written completely."""
    return max(checkpoints.glob("epoch-*"), default=None)


def write_history(folder: Path, history: History) -> None:
    """Writes history.csv; `history` has at least one row."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, ["epoch", *history[0]])
    writer.writeheader()
    writer.writerows({"epoch": epoch, **row} for epoch, row in enumerate(history, start=1))
    write_bytes(folder / "history.csv", stream.getvalue().encode())


def read_history(folder: Path) -> History:
    """Reads history.csv. Raises RunError in one line."""
    path = folder / "history.csv"
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [
                {name: float(value) for name, value in row.items() if name != "epoch"}
                for row in csv.DictReader(stream, strict=True)
            ]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise RunError(f"{path} cannot be read: {error}") from None
    if not rows:
        raise RunError(f"{path} has no epochs")
    return rows


def _epochs_done(folder: Path) -> int:
    newest = newest_checkpoint(folder / "checkpoints")
    return 0 if newest is None else int(newest.name.removeprefix("epoch-"))
