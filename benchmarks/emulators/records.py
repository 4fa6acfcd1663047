"""What every artifact answered on every emulated CPU: the result that is written and read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

from tinysight.bundle import Bundle, check_sha256
from tinysight.device.info import DeviceInfo
from tinysight.errors import TinysightError
from tinysight.integrity.golden import Comparison
from tinysight.records import RecordError, from_json, load_json, to_json

FORMAT: Final = 1
FILE = "emulators.json"
RESULTS = Path(__file__).parents[1] / "results" / "emulators"
"""Where the result that the model cards quote is kept."""
_MAX_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An image of which the workstation and the emulated CPU name different classes."""

    image: int
    """Its place among the images that were classified."""
    workstation: str
    emulated: str
    margin: float
    """By how much the workstation's best logit leads its second."""


@dataclass(frozen=True, slots=True)
class ImageCheck:
    """Answers to images against those of this workstation."""

    images: int
    max_difference: float
    """The largest difference of a logit."""
    spread: float
    """Of the workstation's logits: max - min, which makes sense of the difference."""
    changed: int
    """Images with any logit that differs by more than a millionth of the spread."""
    disagreements: tuple[Disagreement, ...]

    def __post_init__(self) -> None:
        if not 0 <= len(self.disagreements) <= self.images or self.images < 1:
            raise ValueError(f"{len(self.disagreements)} disagreements of {self.images} images")

    @property
    def same_top1(self) -> int:
        return self.images - len(self.disagreements)


@dataclass(frozen=True, slots=True)
class Cell:
    """One artifact on one CPU."""

    cpu: str
    bundle: str
    artifact: str
    sha256: str
    """Of the artifact."""
    engine: str
    golden: Comparison | None
    """The golden answers; None where the bundle keeps none, or where the process failed."""
    images: ImageCheck | None
    """None where the process failed."""
    error: str | None = None
    """What the process died of."""

    DERIVED: ClassVar = ("ok",)

    def __post_init__(self) -> None:
        check_sha256(self.sha256)
        if (self.images is None) != (self.error is not None):
            raise ValueError("a cell has answers to images, or else an error")

    @property
    def ok(self) -> bool:
        """Whether the CPU answers as the workstation: within tolerance, and the same top-1."""
        if self.images is None or (self.golden is not None and not self.golden.ok):
            return False
        return not self.images.disagreements


@dataclass(frozen=True, slots=True)
class EmulatorsResult:
    """Every artifact on every CPU that could be emulated."""

    format: Literal[1]
    date: str
    tinysight: str
    """Its version."""
    versions: Mapping[str, str]
    """Of the engines and numpy, by package: the same on every CPU."""
    qemu: str
    """The version of the emulator."""
    workstation: DeviceInfo
    images: str
    """Which images were classified."""
    excluded: Mapping[str, str]
    """By CPU, why it could not be emulated here."""
    cells: tuple[Cell, ...]

    @property
    def ok(self) -> bool:
        """Whether every cell is."""
        return all(cell.ok for cell in self.cells)


def proven_on(result: EmulatorsResult, bundle: Bundle) -> dict[str, tuple[str, ...]]:
    """By artifact of the bundle, the CPUs that answered as the workstation.

    An artifact counts by its SHA-256: what a result says of another file, it does not say of this
    one. Artifacts without any such CPU are absent.
    """
    found = {}
    for artifact in bundle.artifacts:
        own = [cell for cell in result.cells if cell.sha256 == artifact.sha256]
        proven = tuple(dict.fromkeys(cell.cpu for cell in own if cell.ok))
        if proven:
            found[artifact.name] = proven
    return found


def as_text(result: EmulatorsResult) -> str:
    """The JSON text of a result."""
    return json.dumps(to_json(result), indent=1, ensure_ascii=False) + "\n"


def read(folder: Path) -> EmulatorsResult | None:
    """The result in a folder; None where it has none. Raises TinysightError for a damaged one."""
    file = folder / FILE
    try:
        return from_json(EmulatorsResult, load_json(file, _MAX_BYTES))
    except FileNotFoundError:
        return None
    except RecordError as error:
        raise TinysightError(f"{file}: {error}") from None
