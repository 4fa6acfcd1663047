"""What an artifact was made with: typed records, which become its `settings` in provenance.json.

They hold all that is needed to make it again from the same run and data.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from export.recipes import Arithmetic, Calibration, Finetuning, Tolerance
from tinysight.records import JsonObject
from tinysight.stats import Accuracy, PairedRatio


@dataclass(frozen=True, slots=True)
class CalibrationRecord:
    """The training images that the ranges of activations come from."""

    method: Calibration
    n: int
    """How many images."""
    sha256: str
    """Of their indices: `tinysight.integrity.data_split.hash_indices`."""


@dataclass(frozen=True, slots=True)
class FinetuningRecord:
    """A fine-tuning that was done."""

    settings: Finetuning
    seed: int
    batch_size: int
    steps: int
    """Optimizer steps in all."""
    validation: tuple[Accuracy, ...]
    """On the validation images before the first pass, and after each."""
    chosen: int
    """The index of the state that was kept: the number of passes before it."""
    seconds: float
    versions: Mapping[str, str]
    """By package."""

    def __post_init__(self) -> None:
        if not 0 <= self.chosen < len(self.validation):
            raise ValueError(f"state {self.chosen} of {len(self.validation)} was chosen")


@dataclass(frozen=True, slots=True)
class TimingTrial:
    """One graph of a mixed-precision search against the fastest graph before it."""

    float_layers: tuple[str, ...]
    median_us: float
    """Latency in microseconds."""
    ratio: PairedRatio
    """Its latency over that of the fastest graph before it, in interleaved calls."""
    verdict: str


@dataclass(frozen=True, slots=True)
class ArtifactSettings:
    """How one artifact was made."""

    arithmetic: Arithmetic
    tolerance: Tolerance
    model_sha256: str
    """Of the run's model file."""
    finetuning: FinetuningRecord | None = None
    """None where the weights are those of the run."""
    calibration: CalibrationRecord | None = None
    """None where no range was calibrated."""
    float_layers: tuple[str, ...] = ()
    """Layers of a quantized artifact that stay in float32."""
    timing_trials: tuple[TimingTrial, ...] = ()
    """What `mixed_measured` timed."""
    device: JsonObject | None = None
    """Where it was timed: `tinysight.device.info`."""
