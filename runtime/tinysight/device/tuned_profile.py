"""Device profiles: which artifact, on how many threads, has the lowest latency for a bundle here.

`tinysight tune` writes one, `Classifier.load` follows it. A profile belongs to one bundle.json on
one device with one set of engine versions: where any of them has changed, it is not found.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tinysight.bundle import Bundle
from tinysight.device import info
from tinysight.device.versions import package_versions
from tinysight.engines.registry import ENGINES, check_threads
from tinysight.errors import TinysightError, TinysightWarning
from tinysight.files import cache_folder, write_bytes
from tinysight.records import RecordError, from_json, load_json, to_json
from tinysight.stats import PairedRatio

FORMAT: Final = 2
MAX_BYTES = 1 << 16
"""Of a profile that is read."""


@dataclass(frozen=True, slots=True)
class TunedProfile:
    """The winner of a tuning."""

    artifact: str
    """Its name in the bundle."""
    threads: int
    median_us: float
    """Its median latency at batch 1 when it was tuned, in microseconds."""
    ratio_to_default: PairedRatio
    """Of that latency to the one of the bundle's default artifact on one thread."""

    def __post_init__(self) -> None:
        if not self.artifact:
            raise ValueError("a profile needs an artifact")
        check_threads(self.threads)
        if not self.median_us > 0:
            raise ValueError("the median latency must be above 0")


@dataclass(frozen=True, slots=True)
class ProfileKey:
    """What a latency depends on beside the bundle, as far as it can be known."""

    system: str
    cpu: str
    cores: int
    features: tuple[str, ...]
    engines: Mapping[str, str]
    """Versions of the engines' packages, by package."""


@dataclass(frozen=True, slots=True)
class _Document:
    """A profile's file."""

    format: Literal[2]
    bundle: str
    key: ProfileKey
    profile: TunedProfile


def save(bundle: Bundle, profile: TunedProfile) -> Path:
    """Writes a bundle's profile for this device; returns the file."""
    key = profile_key()
    path = _path(bundle, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = _Document(FORMAT, bundle.name, key, profile)
    write_bytes(path, (json.dumps(to_json(document), indent=1) + "\n").encode())
    return path


def load(bundle: Bundle) -> TunedProfile | None:
    """A bundle's profile for this device, if there is one.

    One that is damaged is warned of and ignored: the bundle works without. So it does without a
    folder of profiles that this user could read.
    """
    try:
        if bundle.folder is None or not profiles_folder().is_dir():
            return None  # the usual case, which must not cost a look at the device
        path = _path(bundle, profile_key())
    except (TinysightError, OSError, ValueError):  # no home, or one that is no place to look into
        return None
    try:
        profile = from_json(_Document, load_json(path, MAX_BYTES)).profile
        bundle.artifact(profile.artifact)
    except FileNotFoundError:
        return None
    except (OSError, RecordError, TinysightError) as error:
        message = f"{path} is ignored ({error}): `tinysight tune` writes it anew"
        warnings.warn(TinysightWarning(message), stacklevel=3)
        return None
    return profile


def delete(bundle: Bundle) -> bool:
    """Removes a bundle's profile for this device; whether there was one."""
    path = _path(bundle, profile_key())
    existed = path.exists()
    path.unlink(missing_ok=True)
    return existed


def profiles_folder() -> Path:
    """Where profiles lie; it need not exist."""
    return cache_folder() / "profiles"


def profile_key() -> ProfileKey:
    """This device's."""
    device = info.describe()
    engines = package_versions(spec.package for spec in ENGINES.values())
    return ProfileKey(device.system, device.cpu, device.cores, device.features, engines)


def _path(bundle: Bundle, key: ProfileKey) -> Path:
    assert bundle.folder is not None
    described = (bundle.folder / "bundle.json").read_bytes()
    text = json.dumps(to_json(key), sort_keys=True).encode()
    digest = hashlib.sha256(described + text).hexdigest()
    return profiles_folder() / f"{bundle.name}-{digest[:16]}.json"
