"""A bundle: the folder that holds a model, and the one contract between export and runtime.

    bundle.json                what `Bundle` describes
    <recipe>.onnx, .tflite     the artifacts: the same network, made by different recipes
    provenance.json            where they come from: `tinysight.provenance`

Every artifact takes uint8 pixels (n, height, width, 3) and gives float32 logits (n, classes), so a
device does no arithmetic before the engine. Nothing of a file reaches an engine before its size and
its SHA-256 agree with bundle.json.
"""

import hashlib
import json
import math
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tinysight.errors import BundleError
from tinysight.files import read_regular, recover_folder
from tinysight.preprocess import RESAMPLE, RESAMPLING
from tinysight.records import RecordError, from_json, parse_json, to_json
from tinysight.signing.keys import trusted_key_paths
from tinysight.stats import Accuracy
from tinysight.store.layout import is_store, read_current, version_folder

if TYPE_CHECKING:
    from tinysight.signing.keys import KeyPaths

FORMAT = 3
"""Raised when a reader of the old format would misunderstand the new one."""

# Limits on what is read from a bundle that may come from anywhere.
MAX_DESCRIPTION_BYTES = 4 << 20
MAX_ARTIFACT_BYTES = 1 << 30
MAX_SIDE = 1024
MAX_LABELS = 100_000

MAX_NAME = 64
"""Characters of a bundle's name, of a recipe's and of a file's."""
MAX_LABEL = 256
"""Characters of a label."""
MAX_TEMPERATURE = 1000.0
"""The inverse is the smallest. A fit gives 1/20 to 20."""

MAX_GOLDEN_INPUTS = 32
MAX_GOLDEN_LOGIT = 1e6
"""In magnitude: their differences must not overflow in float32."""
MAX_GOLDEN_TOLERANCE = 0.1
"""Of the logits' spread: recipes allow 0.05 at most, and far beyond it any answer would pass."""
RECTANGLE_BYTES = 7
MAX_RECTANGLES = 64
"""Painted over one golden input."""

PROVENANCE = "provenance.json"

_SHIPPED = Path(__file__).parent / "bundles"
_SHIPPED_DEFAULT = "edge_m"

_NUMBERS = re.compile(r"\[\n([-+.,\s\deE]+)\]")
_SLUG = re.compile(rf"[a-z0-9][a-z0-9_.-]{{0,{MAX_NAME - 1}}}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RECTANGLES = re.compile(rf"([0-9a-f]{{{2 * RECTANGLE_BYTES}}}){{0,{MAX_RECTANGLES}}}")


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
        if not all(
            -MAX_GOLDEN_LOGIT <= one <= MAX_GOLDEN_LOGIT for row in self.logits for one in row
        ):
            raise ValueError(f"a golden answer is not within {MAX_GOLDEN_LOGIT:,.0f} of 0")
        if not 0 <= self.tolerance <= MAX_GOLDEN_TOLERANCE:
            raise ValueError(f"the tolerance must lie in [0, {MAX_GOLDEN_TOLERANCE:g}]")


@dataclass(frozen=True, slots=True)
class Abstention:
    """The energy score below which "unknown" is recommended, chosen on validation images."""

    min_energy_score: float
    """In nats, for `Prediction.energy_score` at the bundle's temperature."""
    rule: str
    """How it was chosen, for people."""
    coverage: float
    """The fraction of the images that is answered."""
    accuracy: float
    """Of those that are answered."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.min_energy_score):
            raise ValueError("the energy score must be a finite number")
        if not all(0 <= part <= 1 for part in (self.coverage, self.accuracy)):
            raise ValueError("coverage and accuracy must lie in [0, 1]")


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What a file must be: its size and its hash."""

    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        check_sha256(self.sha256)
        if not 0 < self.bytes <= MAX_DESCRIPTION_BYTES:
            raise ValueError(f"{self.bytes:,} bytes, allowed are {MAX_DESCRIPTION_BYTES:,}")


@dataclass(frozen=True, slots=True)
class MicrocontrollerMemory:
    """What an int8 artifact takes in TensorFlow Lite Micro, beside the interpreter's own code."""

    flash_bytes: int
    """The model as `python -m export mcu` writes it, a constant array."""
    arena_bytes: int
    """The smallest tensor arena in which the reference kernels run it; faster kernels may want
    more."""

    def __post_init__(self) -> None:
        if self.flash_bytes < 1 or self.arena_bytes < 1:
            raise ValueError("flash and arena must be at least 1 byte")


@dataclass(frozen=True, slots=True)
class Artifact:
    """One model file of a bundle."""

    recipe: str
    """How it was made: see the naming scheme in `export.recipes`."""
    format: Literal["onnx", "tflite"]
    file: str
    sha256: str
    bytes: int
    accuracy: Accuracy | None = None
    """On the test images."""
    golden: Golden | None = None
    """Its answers on seeded inputs, which a device must reproduce."""
    microcontroller: MicrocontrollerMemory | None = None
    """Of a .tflite artifact that computes in int8; None where it was not measured."""

    def __post_init__(self) -> None:
        if not _SLUG.fullmatch(self.recipe):
            raise ValueError(f"{self.recipe!r} is not a recipe's name")
        if not _SLUG.fullmatch(self.file) or self.file == "bundle.json":
            raise ValueError(f"{self.file!r} is not a plain file name")
        check_sha256(self.sha256)
        if not 0 < self.bytes <= MAX_ARTIFACT_BYTES:
            raise ValueError(f"{self.file}: {self.bytes} bytes, allowed are {MAX_ARTIFACT_BYTES}")

    @property
    def name(self) -> str:
        """The name a person gives it: the recipe, with the format unless that is ONNX."""
        return self.recipe if self.format == "onnx" else f"{self.recipe}.{self.format}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """The description of a model folder: bundle.json, but for the folder itself."""

    name: str
    labels: tuple[str, ...]
    """By class index."""
    height: int
    width: int
    artifacts: tuple[Artifact, ...]
    default: str
    """The name of the artifact that `Classifier.load` takes: an ONNX one."""
    resample: str = RESAMPLE
    temperature: float = 1.0
    """Logits are divided by it before the softmax."""
    abstention: Abstention | None = None
    """When "unknown" is recommended; None, for a model without validation images, never."""
    golden_rectangles: tuple[str, ...] = ()
    """What is painted over each golden input, so that the model answers it as decidedly as a
    picture of one of its classes: rectangles of seven bytes, in hexadecimal, as
    `tinysight.integrity.golden` reads them. Inputs beyond the last stay noise."""
    answers_sha256: str | None = None
    """`hash_answers` of the bundle as it was exported; None where that was not recorded."""
    provenance: FileRecord | None = None
    """Of provenance.json; None for a model of unknown origin."""
    folder: Path | None = field(default=None, metadata={"json": False})
    """Where it was read from."""

    def __post_init__(self) -> None:
        if not _SLUG.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not a name of lower-case letters, digits, _ . -")
        if not 2 <= len(self.labels) <= MAX_LABELS or len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must be at least two, and all different")
        if not all(0 < len(label) <= MAX_LABEL for label in self.labels):
            raise ValueError(f"every label must be a text of 1 to {MAX_LABEL} characters")
        if not (0 < self.height <= MAX_SIDE and 0 < self.width <= MAX_SIDE):
            raise ValueError(f"the input must be 1 to {MAX_SIDE} pixels high and wide")
        if self.resample not in RESAMPLING:
            raise ValueError(f"unknown resampling {self.resample!r}")
        if not 1 / MAX_TEMPERATURE <= self.temperature <= MAX_TEMPERATURE:
            raise ValueError(
                f"the temperature must lie in [{1 / MAX_TEMPERATURE:g}, {MAX_TEMPERATURE:g}]"
            )
        if len(self.golden_rectangles) > MAX_GOLDEN_INPUTS:
            raise ValueError(f"golden rectangles for more than {MAX_GOLDEN_INPUTS} inputs")
        if not all(_RECTANGLES.fullmatch(text) for text in self.golden_rectangles):
            raise ValueError(
                f"golden rectangles must be up to {MAX_RECTANGLES} times {RECTANGLE_BYTES} bytes "
                "in hexadecimal"
            )
        names = [artifact.name for artifact in self.artifacts]
        if len(set(names)) != len(names):
            raise ValueError("two artifacts have one name")
        if self.default not in [a.name for a in self.artifacts if a.format == "onnx"]:
            raise ValueError(f"the default {self.default!r} is none of its ONNX artifacts")
        for artifact in self.artifacts:
            if artifact.golden and len(artifact.golden.logits[0]) != len(self.labels):
                raise ValueError(f"{artifact.name}: golden logits for another number of classes")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the input, in pixels."""
        return self.height, self.width

    def artifact(self, name: str | None = None) -> Artifact:
        """The artifact of that name, or the default one. Raises BundleError."""
        wanted = name or self.default
        for artifact in self.artifacts:
            if artifact.name == wanted:
                return artifact
        known = ", ".join(artifact.name for artifact in self.artifacts)
        raise BundleError(f"{self.name} has no artifact {wanted!r}; it has {known}")

    def read(self, artifact: Artifact) -> bytes:
        """The artifact's bytes, after size and hash were checked. Raises BundleError."""
        return self.read_checked(artifact.file, artifact)

    def read_checked(self, name: str, expected: Artifact | FileRecord) -> bytes:
        """A file's bytes, after size and hash were checked. Raises BundleError."""
        if self.folder is None:
            raise BundleError(f"{self.name} was not read from a folder")
        path = self.folder / name
        try:
            # Size first: a file that grew to gigabytes is not read to be refused.
            size = path.stat().st_size
            if size != expected.bytes and path.is_file():
                raise BundleError(
                    f"{path}: {size:,} bytes, but bundle.json says {expected.bytes:,}"
                )
            content = _read_inside(self.folder, name, expected.bytes)
        except ValueError as error:
            raise BundleError(f"{path}: {error}") from None
        except OSError as error:
            raise BundleError(f"{path}: {error.strerror or error}") from error
        if hashlib.sha256(content).hexdigest() != expected.sha256:
            raise BundleError(f"{path}: damaged, its SHA-256 is not the one in bundle.json")
        return content

    def as_text(self) -> str:
        """The text of bundle.json: a line an entry, but a row of numbers on one line."""
        text = json.dumps({"format": FORMAT, **to_json(self)}, indent=1, ensure_ascii=False)
        # No text inside the JSON can look so: there a line's end is written as an escape.
        return _NUMBERS.sub(lambda row: f"[{' '.join(row[1].split())}]", text) + "\n"


def load_bundle(
    path: str | os.PathLike[str] | None = None,
    *,
    require_signature: "KeyPaths | Literal[False] | None" = None,
) -> Bundle:
    """Reads and checks a bundle's description.

    Args:
        path: its folder; a store of bundles (`tinysight.store`), of which the current one is read;
            or, where there is no such folder, the name of one that came with tinysight; None is
            the default one of these.
        require_signature: files and folders of public keys, one of which must have signed the
            bundle; None takes the keys that this device trusts ($TINYSIGHT_TRUSTED_KEYS, else
            /etc/tinysight/trusted_keys), and asks for no signature where none are named or the
            bundle came with tinysight itself; False asks for none.

    Raises:
        BundleError: in one line, for whatever is wrong with it; SignatureError is one.
        UpdateError: the store is damaged.
        MissingExtraError: a signature is required, and cryptography is not installed.
    """
    folder = Path(_SHIPPED_DEFAULT if path is None else path)
    if path is not None:
        recover_folder(folder)  # a killed export may have left it beside
    if path is None or (not folder.exists() and str(folder) in shipped_bundles()):
        folder = _SHIPPED / folder
    elif is_store(folder):
        folder = version_folder(folder, read_current(folder).version)
    file = folder / "bundle.json"
    try:
        content = _read_inside(folder, file.name, MAX_DESCRIPTION_BYTES)
    except FileNotFoundError:
        known = ", ".join(shipped_bundles())
        raise BundleError(
            f"{folder} is not a bundle: it has no bundle.json (tinysight brings {known})"
        ) from None
    except OSError as error:
        raise BundleError(f"{file}: {error.strerror or error}") from None
    except ValueError as error:
        raise BundleError(f"{file}: {error}") from None
    keys = require_signature
    if keys is None:
        keys = trusted_key_paths()
        if keys is not None and os.path.realpath(folder.parent) == os.path.realpath(_SHIPPED):
            keys = None
    if keys is not None and keys is not False:
        # Late: a device where no signature is required need not wait for it.
        from tinysight.signing.signature import check_signature

        check_signature(content, folder, keys)
    bundle = replace(parse_description(content, file), folder=folder)
    if bundle.provenance is not None:  # read by few, but damage is told by all
        bundle.read_checked(PROVENANCE, bundle.provenance)
    return bundle


def parse_description(content: bytes, file: "Path | str") -> Bundle:
    """The bundle that the bytes of a bundle.json describe; `file` names it in an error.

    Raises BundleError.
    """
    try:
        value = parse_json(content)
        if not isinstance(value, dict) or "format" not in value:
            raise RecordError("it does not describe a bundle")
        if value.pop("format") != FORMAT:
            raise RecordError(f"not of format {FORMAT}, which this tinysight reads: export it anew")
        bundle = from_json(Bundle, value)
    except ValueError as error:  # RecordError is one
        raise BundleError(f"{file}: {error}") from None
    if bundle.answers_sha256 not in (None, hash_answers(bundle)):
        raise BundleError(
            f"{file}: damaged, labels, temperature, threshold or input are not those it was "
            "exported with"
        )
    return bundle


def hash_answers(bundle: Bundle) -> str:
    """SHA-256 over what a bundle makes of pixels and logits: input, labels, temperature, threshold.

    It shows that somebody changed one of them by hand, or swapped two labels. Who changes it too is
    found out by a signature alone.
    """
    parts = (
        bundle.labels,
        bundle.shape,
        bundle.resample,
        bundle.temperature,
        None if bundle.abstention is None else bundle.abstention.min_energy_score,
    )
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()


def _read_inside(folder: Path, name: str, max_bytes: int) -> bytes:
    """A regular file of a folder; a link may not lead out of it. Raises ValueError and OSError."""
    path = folder / name
    # realpath, since Path.resolve raises RuntimeError for links in a circle.
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(
        os.path.realpath(folder)
    ):
        raise ValueError("a link that leads out of the bundle: copy the file itself")
    return read_regular(path, max_bytes)


def shipped_bundles() -> list[str]:
    """The names of the bundles that came with tinysight."""
    return sorted(folder.name for folder in _SHIPPED.iterdir() if (folder / "bundle.json").exists())
