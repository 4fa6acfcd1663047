"""Where a bundle comes from: provenance.json, which nothing needs in order to classify.

    data        the images, and which were used for training, calibration, validation and test
    training    the run it was exported from
    export      how the artifacts were made
    artifacts   how each compares with the trained model

bundle.json holds the file's size and SHA-256, so it is known to be the bundle's own; a device reads
it only when it is asked (`tinysight info`, `verify`), and an answer does not wait for it. What the
runtime cannot vouch for, such as a training recipe, is a `JsonObject`: its own stage reads that.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from tinysight.bundle import PROVENANCE, Bundle, FileRecord, check_sha256, hash_answers
from tinysight.errors import BundleError
from tinysight.records import JsonObject, RecordError, from_json, parse_json, to_json
from tinysight.stats import Accuracy, McNemar

FORMAT = 1
"""Of provenance.json."""
MAX_IMAGES = 20_000_000
"""No more are unpacked from a split record, which may come from anywhere."""


@dataclass(frozen=True, slots=True)
class ThresholdPoint:
    """What happens at one threshold of the probability."""

    threshold: float
    coverage: float
    """The fraction of images whose probability is not below the threshold."""
    accuracy: float | None
    """Of those; None where there are none."""

    def __post_init__(self) -> None:
        parts = (self.threshold, self.coverage, self.accuracy or 0.0)
        if not all(0 <= part <= 1 for part in parts):
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
    coverage: float
    """The fraction answered at the recommended energy score."""
    accuracy: float | None
    """Of those that are answered; None where there are none."""


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
    """How an artifact compares with the trained model, and how it was made."""

    validation: Parity
    """On the images that decided whether it was written."""
    test: Parity
    """On images that decided nothing."""
    confidence: ConfidenceRecord | None = None
    """How good its probabilities are on the test images."""
    layers: LayerNoise | None = None
    int16_saturation: SaturationRecord | None = None
    settings: JsonObject = field(default_factory=dict)
    """All that is needed to make it again from the same run and data: `export.converter`."""


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
    """One letter for each image says what it was used for: the sets cannot overlap."""

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
    """Which image was used for what, with the proof that none was used twice."""

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
    """From the first step to the last, and what was computed before, such as teacher logits."""
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


@dataclass(frozen=True, slots=True)
class Provenance:
    """The content of provenance.json."""

    data: DataRecord
    training: TrainingRecord
    export: ExportRecord
    artifacts: Mapping[str, ArtifactChecks]
    """By the artifact's name."""
    curve: tuple[ThresholdPoint, ...] = ()
    """What thresholds of the probability give on the validation images, by the default artifact."""


def read_provenance(bundle: Bundle) -> Provenance | None:
    """Where a bundle comes from; None where it does not tell. Raises BundleError."""
    if bundle.folder is None or bundle.provenance is None:
        return None
    path = bundle.folder / PROVENANCE
    try:
        content = parse_json(bundle.read_checked(PROVENANCE, bundle.provenance))
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise RecordError(f"not of format {FORMAT}, which this tinysight reads")
        return from_json(Provenance, content)
    except RecordError as error:
        raise BundleError(f"{path}: {error}") from None


def require_provenance(bundle: Bundle) -> Provenance:
    """As `read_provenance`, for what makes no sense without. Raises BundleError."""
    provenance = read_provenance(bundle)
    if provenance is None:
        raise BundleError(
            f"{bundle.name} does not tell where it comes from: it has no {PROVENANCE}"
        )
    return provenance


def write_description(folder: Path, bundle: Bundle, provenance: Provenance) -> None:
    """Writes bundle.json and provenance.json into a folder that nobody reads yet."""
    text = json.dumps({"format": FORMAT, **to_json(provenance)}, indent=1, ensure_ascii=False)
    content = (text + "\n").encode()
    (folder / PROVENANCE).write_bytes(content)
    record = FileRecord(hashlib.sha256(content).hexdigest(), len(content))
    complete = dataclasses.replace(bundle, provenance=record, answers_sha256=hash_answers(bundle))
    (folder / "bundle.json").write_text(complete.as_text(), encoding="utf-8")
