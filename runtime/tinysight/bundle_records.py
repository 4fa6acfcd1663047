"""What bundle.json keeps beside the artifacts: typed records of data, training and checks.

The export stage fills them in, the runtime reads them, and `tinysight.records` is their format.
What a record cannot vouch for, such as a training recipe, is a `JsonObject`: its own stage reads it.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from tinysight.records import JsonObject
from tinysight.stats import Accuracy, McNemar

MAX_GOLDEN_INPUTS = 4096
"""No more are asked of a device, whatever a bundle says."""
MAX_GOLDEN_TOLERANCE = 1.0
"""Of the logits' spread: beyond it, any answer would pass."""
MAX_IMAGES = 100_000_000
"""No more are unpacked from a split record, which may come from anywhere."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_sha256(text: str) -> None:
    """Raises ValueError unless `text` is a SHA-256 in hexadecimal."""
    if not _SHA256.fullmatch(text):
        raise ValueError(f"{text!r:.80} is not a SHA-256 of 64 hexadecimal digits")


@dataclass(frozen=True, slots=True)
class Golden:
    """The workstation's answers to the seeded inputs of `tinysight.integrity.golden`."""

    logits: tuple[tuple[float, ...], ...]
    """A row for each input, as many values as there are classes."""
    tolerance: float
    """The largest error of a logit that is allowed on a device, relative to their spread."""

    def __post_init__(self) -> None:
        if not 0 < len(self.logits) <= MAX_GOLDEN_INPUTS:
            raise ValueError(f"{len(self.logits)} golden answers, allowed are {MAX_GOLDEN_INPUTS}")
        if len({len(row) for row in self.logits}) != 1:
            raise ValueError("the golden answers are not of one length")
        if not 0 <= self.tolerance <= MAX_GOLDEN_TOLERANCE:
            raise ValueError(f"the tolerance must lie in [0, {MAX_GOLDEN_TOLERANCE:g}]")


@dataclass(frozen=True, slots=True)
class ThresholdPoint:
    """What happens at one threshold of confidence."""

    threshold: float
    coverage: float
    """The fraction of images whose confidence is not below the threshold."""
    accuracy: float | None
    """Of those; None where there are none."""

    def __post_init__(self) -> None:
        parts = (self.threshold, self.coverage, self.accuracy or 0.0)
        if not all(0 <= part <= 1 for part in parts):
            raise ValueError("threshold, coverage and accuracy must lie in [0, 1]")


@dataclass(frozen=True, slots=True)
class Abstention:
    """The confidence below which "unknown" is recommended, chosen on validation images."""

    threshold: float
    rule: str
    """How it was chosen, for people."""
    coverage: float
    accuracy: float
    curve: tuple[ThresholdPoint, ...]
    """What other thresholds would give."""

    def __post_init__(self) -> None:
        if not all(0 <= part <= 1 for part in (self.threshold, self.coverage, self.accuracy)):
            raise ValueError("threshold, coverage and accuracy must lie in [0, 1]")


@dataclass(frozen=True, slots=True)
class ConfidenceRecord:
    """How good the calibrated probabilities are on the test images."""

    n: int
    bins: int
    error_before: float
    """Expected calibration error (Guo et al. 2017, equation 3) at temperature 1, in [0, 1]."""
    error: float
    """The same at the bundle's temperature."""
    coverage: float | None
    """The fraction answered at the recommended threshold; None where none is recommended."""
    accuracy: float | None
    """Of those that are answered."""


@dataclass(frozen=True, slots=True)
class Margins:
    """The lead of the trained model's first class over the next best, and what is left of it."""

    mean: float
    """Of the trained model, in logits."""
    mean_shrink: float
    """By how much the artifact's lead is smaller; negative where it grew."""
    max_shrink: float
    flippable: int
    """Images whose lead is smaller than the largest change of a logit on any image."""


@dataclass(frozen=True, slots=True)
class Parity:
    """An artifact's logits against the trained model's, on the same real images."""

    images: int
    max_difference: float
    """Largest absolute difference of a logit."""
    mean_difference: float
    max_relative: float
    """The largest difference over the spread (largest minus smallest) of the trained logits."""
    same_top1: int
    """Images on which both name the same class first."""
    accuracy: Accuracy
    """Of the artifact."""
    margins: Margins
    mcnemar: McNemar
    """The trained model first, the artifact second."""

    DERIVED: ClassVar[tuple[str, ...]] = ("top1_agreement",)

    def __post_init__(self) -> None:
        if not 0 <= self.same_top1 <= self.images or self.images == 0:
            raise ValueError(f"{self.same_top1} of {self.images} images with the same top-1")

    @property
    def top1_agreement(self) -> float:
        """As a fraction of the images."""
        return self.same_top1 / self.images


@dataclass(frozen=True, slots=True)
class LayerNoise:
    """The signal-to-quantization-noise ratio of each layer against an artifact in float32."""

    against: str
    """The recipe of the artifact in float32."""
    images: int
    bound_db: float
    """Below it, a layer is said to leave float32."""
    first: str | None
    """The first layer that does."""
    layers_db: Mapping[str, float | None]
    """By layer, in the graph's order, decibel; None where both are equal."""


@dataclass(frozen=True, slots=True)
class SaturationRecord:
    """What x86 without VNNI answers, whose kernels saturate sums of products at 16 bits."""

    images: int
    same_top1: int
    max_relative: float
    changed: Mapping[str, float]
    """By layer, the fraction of its results that saturation changes."""


@dataclass(frozen=True, slots=True)
class ArtifactChecks:
    """How an artifact compares with the trained model."""

    validation: Parity
    """On the images that decided whether it was written."""
    test: Parity
    """On images that decided nothing."""
    layers: LayerNoise | None = None
    int16_saturation: SaturationRecord | None = None


@dataclass(frozen=True, slots=True)
class IndexSet:
    """A set of images of the data, by index."""

    n: int
    sha256: str
    """Over the sorted indices: `tinysight.integrity.data_split.hash_indices`."""

    def __post_init__(self) -> None:
        check_sha256(self.sha256)
        if self.n < 0:
            raise ValueError(f"a set of {self.n} images")


@dataclass(frozen=True, slots=True)
class Assignment:
    """One letter an image, which says what it served for: sets that are disjoint by construction."""

    images: int
    letters: Mapping[str, str]
    """By set, the letter that stands for it."""
    zlib_base64: str
    """The letters of all images, compressed, in base64."""

    def __post_init__(self) -> None:
        if not 0 <= self.images <= MAX_IMAGES:
            raise ValueError(f"an assignment of {self.images:,} images, allowed {MAX_IMAGES:,}")


@dataclass(frozen=True, slots=True)
class SplitRecord:
    """Which image served for what, with the proof that none served twice."""

    train: IndexSet
    calibration: IndexSet
    """Training images that the quantization was calibrated on."""
    val: IndexSet
    test: IndexSet
    union: IndexSet
    """Of train, val and test."""
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class DuplicateCounts:
    """Images with the very pixels of another, which disjoint indices do not exclude."""

    distinct: int
    train_val: int
    """Validation images that are training images as well."""
    train_test: int
    val_test: int


@dataclass(frozen=True, slots=True)
class DataRecord:
    """The images that a bundle was trained, calibrated, chosen and tested on."""

    name: str
    title: str
    attribution: str
    notes: tuple[str, ...]
    fingerprint: str
    """SHA-256 over labels, targets and pixels, in their order."""
    splits: SplitRecord | None = None
    duplicates: DuplicateCounts | None = None


@dataclass(frozen=True, slots=True)
class TrainingDevice:
    """What a model was trained on."""

    system: str
    cpu: str
    cores: int
    features: tuple[str, ...]
    """The CPU's instruction sets that matter to kernels."""
    governor: str | None
    memory_mb: int | None
    python: str
    gpus: tuple[str, ...]
    precision: str
    """Keras' policy: float32, mixed_bfloat16 or mixed_float16."""


@dataclass(frozen=True, slots=True)
class TrainingSeconds:
    """How long a training took."""

    training: float
    """From the first step to the last, with what had to be computed before, such as teacher logits."""
    per_epoch: float
    """The median."""


@dataclass(frozen=True, slots=True)
class TeacherRecord:
    """A finished run that another one was distilled from."""

    sha256: str
    """Of its model file."""
    run: str
    """The name of its run folder."""
    model: str
    recipe: JsonObject
    """`training.recipes.Recipe`."""
    test: Accuracy | None
    training_seconds: float
    teachers: "tuple[TeacherRecord, ...]" = ()
    """A teacher may have been distilled itself."""

    def __post_init__(self) -> None:
        check_sha256(self.sha256)


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """The training run that a bundle was exported from."""

    model: str
    recipe: JsonObject
    """`training.recipes.Recipe`."""
    parameters: int
    macs: int
    """Multiply-accumulates for one image."""
    seconds: TrainingSeconds
    device: TrainingDevice
    versions: Mapping[str, str]
    validation: Accuracy
    test: Accuracy | None
    teachers: tuple[TeacherRecord, ...] = ()

    def __post_init__(self) -> None:
        if self.macs < 1 or self.parameters < 1:
            raise ValueError("a model has parameters and multiply-accumulates")


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """How the artifacts were made."""

    recipes: tuple[str, ...]
    formats: tuple[str, ...]
    max_accuracy_drop: float | None = None
    """As a fraction of the validation images; None where every recipe was asked for by name."""
    versions: Mapping[str, str] = field(default_factory=dict)


def check_temperature(temperature: float) -> None:
    """Raises ValueError unless logits can be divided by it."""
    if not 0 < temperature < math.inf:
        raise ValueError("the temperature must be above 0, and finite")
