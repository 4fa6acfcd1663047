"""A run folder: what one training wrote, and how the next stage reads it.

run.json         recipe, data, versions, device, times, splits, accuracies, confidence
model.keras      the trained model: float pixels in [0, 1] to logits
history.csv      loss and accuracy by epoch
test_logits.npy  float32 (n, classes), in the order of the test indices
curves.png       the history as a picture
confusion.png    the test images: true against answered class
checkpoints/     while it trains: the last finished epoch
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinysight.errors import TinysightError
from tinysight.files import write_bytes

FORMAT = 1


class RunError(TinysightError):
    """A run folder that is missing, unfinished, damaged, or in the way."""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run as it lies on disk."""

    folder: Path
    record: dict[str, Any]
    """The content of run.json."""

    @property
    def model_file(self) -> Path:
        return self.folder / "model.keras"


def write_record(folder: Path, record: dict[str, Any]) -> None:
    text = json.dumps({"format": FORMAT, **record}, indent=2) + "\n"
    write_bytes(folder / "run.json", text.encode())


def read_record(folder: Path) -> dict[str, Any]:
    """Reads run.json, finished or not. Raises RunError in one line."""
    path = folder / "run.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{folder} is not a run folder: it has no run.json") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise RunError(f"{path} is not a run record of format {FORMAT}")
    return record


def load_run(folder: Path) -> Run:
    """Returns a finished run. Raises RunError where there is none."""
    record = read_record(folder)
    if record.get("status") != "finished":
        done = record.get("epochs_done", 0)
        raise RunError(
            f"{folder} is not finished ({done} of {record['recipe']['epochs']} epochs): "
            "go on with `python -m training run … --resume`"
        )
    run = Run(folder, record)
    if not run.model_file.is_file():
        raise RunError(f"{run.model_file} is missing")
    return run
