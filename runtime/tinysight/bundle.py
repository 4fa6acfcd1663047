"""A bundle: the folder that holds a model, and the one contract between export and runtime.

    bundle.json                what `Bundle` describes
    <recipe>.onnx, .tflite     the artifacts: the same network, made by different recipes

Every artifact takes uint8 pixels (n, height, width, 3) and gives float32 logits (n, classes), so a
device does no arithmetic before the engine. Nothing of a file reaches an engine before its size and
its SHA-256 agree with bundle.json.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tinysight.errors import BundleError
from tinysight.preprocess import RESAMPLE, RESAMPLING

FORMAT = 1
"""Raised when a reader of the old format would misunderstand the new one."""

# Limits on what is read from a bundle that may come from anywhere.
MAX_DESCRIPTION_BYTES = 4 << 20
MAX_ARTIFACT_BYTES = 1 << 30
MAX_SIDE = 1024
MAX_LABELS = 100_000

_SHIPPED = Path(__file__).parent / "bundles"
_SHIPPED_DEFAULT = "edge_m"

_NUMBERS = re.compile(r"\[\n([-+.,\s\deE]+)\]")
_SLUG = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Artifact:
    """One model file of a bundle."""

    recipe: str
    """How it was made: see the naming scheme in `export.recipes`."""
    format: Literal["onnx", "tflite"]
    file: str
    sha256: str
    bytes: int
    parity: Mapping[str, Any] = field(default_factory=dict)
    """How far it is from the trained model: see `export.validation.parity`."""
    accuracy: Mapping[str, Any] | None = None
    """On the test images: correct, n, value, 95 % interval."""
    golden: Mapping[str, Any] | None = None
    """Its answers on seeded inputs, and how near another device must come:
    `tinysight.integrity.golden`."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """All that is needed to make it again from the same run and data: see `export.converter`."""

    def __post_init__(self) -> None:
        if self.format not in ("onnx", "tflite"):
            raise ValueError(f"unknown format {self.format!r}")
        if not _SLUG.fullmatch(self.recipe):
            raise ValueError(f"{self.recipe!r} is not a recipe's name")
        if not _SLUG.fullmatch(self.file) or self.file == "bundle.json":
            raise ValueError(f"{self.file!r} is not a plain file name")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"{self.file}: its sha256 is not 64 hexadecimal digits")
        if not 0 < self.bytes <= MAX_ARTIFACT_BYTES:
            raise ValueError(f"{self.file}: {self.bytes} bytes, allowed are {MAX_ARTIFACT_BYTES}")

    @property
    def name(self) -> str:
        """The name a person gives it: the recipe, with the format unless that is ONNX."""
        return self.recipe if self.format == "onnx" else f"{self.recipe}.{self.format}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """The description of a model folder."""

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
    abstain: Mapping[str, Any] = field(default_factory=dict)
    """The probability below which an answer is "unknown" when asked for: its threshold, the rule
    that chose it, coverage and accuracy on the validation images, and their curve. Empty: none."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Name, attribution, and the hashes of the index sets of every split."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """The recipe, time, device and versions of the training run."""
    export: Mapping[str, Any] = field(default_factory=dict)
    """The command and versions that made the artifacts."""
    folder: Path | None = None
    """Where it was read from."""

    def __post_init__(self) -> None:
        if not _SLUG.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not a name of lower-case letters, digits, _ . -")
        if not 2 <= len(self.labels) <= MAX_LABELS or len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must be at least two, and all different")
        if not all(isinstance(label, str) and label for label in self.labels):
            raise ValueError("every label must be a text that is not empty")
        if not (0 < self.height <= MAX_SIDE and 0 < self.width <= MAX_SIDE):
            raise ValueError(f"the input must be 1 to {MAX_SIDE} pixels high and wide")
        if self.resample not in RESAMPLING:
            raise ValueError(f"unknown resampling {self.resample!r}")
        if not 0 < self.temperature < math.inf:
            raise ValueError("the temperature must be above 0, and finite")
        if self.abstain and not 0 <= self.abstain["threshold"] <= 1:
            raise ValueError("the abstention threshold must lie in [0, 1]")
        names = [artifact.name for artifact in self.artifacts]
        if len(set(names)) != len(names):
            raise ValueError("two artifacts have one name")
        if self.default not in [a.name for a in self.artifacts if a.format == "onnx"]:
            raise ValueError(f"the default {self.default!r} is none of its ONNX artifacts")

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
        if self.folder is None:
            raise BundleError(f"{self.name} was not read from a folder")
        path = self.folder / artifact.file
        try:
            # Size first: a file that grew to gigabytes is not read to be refused.
            size = path.stat().st_size
            if size != artifact.bytes:
                raise BundleError(
                    f"{path}: {size:,} bytes, but bundle.json says {artifact.bytes:,}"
                )
            content = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{path}: {error.strerror or error}") from error
        if hashlib.sha256(content).hexdigest() != artifact.sha256:
            raise BundleError(f"{path}: damaged, its SHA-256 is not the one in bundle.json")
        return content

    def as_json(self) -> dict[str, Any]:
        """The content of bundle.json."""
        content = {"format": FORMAT, **asdict(self)}
        del content["folder"]
        return content

    def as_text(self) -> str:
        """The text of bundle.json: a line an entry, but a row of numbers on one line."""
        text = json.dumps(self.as_json(), indent=1, ensure_ascii=False)
        # No text inside the JSON can look so: there a line's end is written as an escape.
        return _NUMBERS.sub(lambda row: f"[{' '.join(row[1].split())}]", text) + "\n"


def load_bundle(path: str | os.PathLike[str] | None = None) -> Bundle:
    """Reads and checks a bundle's description.

    Args:
        path: its folder; or, where there is no such folder, the name of one that came with
            tinysight; None is the default one of these.

    Raises BundleError, in one line, for whatever is wrong with it.
    """
    folder = Path(_SHIPPED_DEFAULT if path is None else path)
    if path is None or (not folder.exists() and str(folder) in shipped()):
        folder = _SHIPPED / folder
    file = folder / "bundle.json"
    try:
        if file.stat().st_size > MAX_DESCRIPTION_BYTES:
            raise BundleError(f"{file}: more than {MAX_DESCRIPTION_BYTES:,} bytes")
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(shipped())
        raise BundleError(
            f"{folder} is not a bundle: it has no bundle.json (tinysight brings {known})"
        ) from None
    except OSError as error:
        raise BundleError(f"{file}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{file} is not JSON: {error}") from None
    if not isinstance(content, dict) or "format" not in content:
        raise BundleError(f"{file} does not describe a bundle")
    if content["format"] != FORMAT:
        raise BundleError(
            f"{file} has format {content['format']!r}; this tinysight reads format {FORMAT}"
        )
    try:
        return _parse(content, folder)
    except KeyError as error:
        raise BundleError(f"{file}: {error.args[0]} is missing") from None
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BundleError(f"{file}: {error}") from None


def shipped() -> list[str]:
    """The names of the bundles that came with tinysight."""
    return sorted(folder.name for folder in _SHIPPED.iterdir() if (folder / "bundle.json").exists())


def _parse(content: dict[str, Any], folder: Path) -> Bundle:
    return Bundle(
        name=str(content["name"]),
        labels=tuple(content["labels"]),
        height=int(content["height"]),
        width=int(content["width"]),
        artifacts=tuple(Artifact(**entry) for entry in content["artifacts"]),
        default=str(content["default"]),
        resample=str(content["resample"]),
        temperature=float(content["temperature"]),
        abstain=dict(content.get("abstain", {})),  # older bundles have none
        data=dict(content["data"]),
        training=dict(content["training"]),
        export=dict(content["export"]),
        folder=folder,
    )
