"""Device profiles: which artifact, and how many threads, answered soonest for a bundle here.

`tinysight tune` writes one, `Classifier.load` goes by it. It belongs to one bundle.json on one
device with one set of engines; with any of them changed, it is not found any more.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tinysight.bundle import Bundle
from tinysight.device import info
from tinysight.engines.registry import PACKAGES
from tinysight.files import cache_folder, write_bytes

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Profile:
    """The winner of a tuning."""

    artifact: str
    threads: int
    measured: Mapping[str, Any] = field(default_factory=dict)
    """What it won by."""

    def __post_init__(self) -> None:
        if not isinstance(self.artifact, str) or not self.artifact:
            raise ValueError("a profile names an artifact")
        if not isinstance(self.threads, int) or self.threads < 1:
            raise ValueError("threads must be at least 1")


def save(bundle: Bundle, profile: Profile) -> Path:
    """Writes a bundle's profile for this device; returns the file."""
    path = _path(bundle)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"format": FORMAT, "bundle": bundle.name, **asdict(profile), "device": _device()}
    write_bytes(path, (json.dumps(content, indent=1) + "\n").encode())
    return path


def load(bundle: Bundle) -> Profile | None:
    """A bundle's profile for this device, if there is one; a damaged one is warned of."""
    if bundle.folder is None or not _folder().is_dir():
        return None  # the usual case, which must not cost a look at the device
    path = _path(bundle)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            return None
        profile = Profile(content["artifact"], content["threads"], content["measured"])
        bundle.artifact(profile.artifact)
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever is in it, the bundle works without
        warnings.warn(f"{path} is ignored ({error}): `tinysight tune` makes it anew", stacklevel=3)
        return None
    return profile


def delete(bundle: Bundle) -> bool:
    """Removes a bundle's profile for this device; whether there was one."""
    path = _path(bundle)
    there = path.exists()
    path.unlink(missing_ok=True)
    return there


def _path(bundle: Bundle) -> Path:
    assert bundle.folder is not None
    described = (bundle.folder / "bundle.json").read_bytes()
    key = hashlib.sha256(described + json.dumps(_device(), sort_keys=True).encode()).hexdigest()
    return _folder() / f"{bundle.name}-{key[:16]}.json"


def _folder() -> Path:
    return cache_folder() / "profiles"


def _device() -> dict[str, Any]:
    """What a latency depends on, as far as it can be known."""
    described = info.describe()
    engines: dict[str, str | None] = {}
    for engine, package in PACKAGES.items():
        try:
            engines[engine] = version(package)
        except PackageNotFoundError:
            engines[engine] = None
    kept = ("system", "cpu", "cores", "features")
    return {**{name: described[name] for name in kept}, "engines": engines}
