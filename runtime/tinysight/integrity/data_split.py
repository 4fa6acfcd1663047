"""Which image of the data served for what, kept so that anybody can check that none served twice.

A bundle stores one letter an image: that is a function of the image, so the sets it spells are
disjoint by construction, and nothing has to be believed but that the run used them. That follows
from the hashes: each set's is in bundle.json, as it was in the run's own record before the export.
"""

import base64
import hashlib
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

MAX_IMAGES = 100_000_000
"""No more is unpacked from a bundle, which may come from anywhere."""

_LETTERS = {"train": b"t", "calibration": b"c", "val": b"v", "test": b"e"}
_UNUSED = b"-"


class PartitionError(ValueError):
    """Sets of images that overlap where they must not, or a record that does not prove its own."""


def hash_indices(indices: Indices) -> str:
    """SHA-256 over the sorted indices as little-endian 64-bit integers."""
    return hashlib.sha256(np.sort(indices).astype("<i8").tobytes()).hexdigest()


def record(sets: Mapping[str, Indices], images: int) -> dict[str, Any]:
    """What bundle.json says of the sets, with the proof.

    Args:
        sets: `train`, `calibration`, `val` and `test`, each indices into the data.
        images: how many the data has.

    Raises:
        PartitionError: two of train, val and test share an image, an index is no image's or stands
            twice in a set, or calibration has an image that train has not.
    """
    if set(sets) != set(_LETTERS):
        raise PartitionError(f"the sets are {', '.join(sets)}, not {', '.join(_LETTERS)}")
    for name, indices in sets.items():
        if len(indices) and not 0 <= indices.min() <= indices.max() < images:
            raise PartitionError(f"{name} has an index that is none of the {images:,} images")
        if len(np.unique(indices)) != len(indices):
            raise PartitionError(f"{name} has an image twice")
    for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
        shared = np.intersect1d(sets[first], sets[second])
        if len(shared):
            raise PartitionError(
                f"{_images(len(shared))} of {first} {'is' if len(shared) == 1 else 'are'} in "
                f"{second} too: image {shared[0]} first"
            )
    strays = np.setdiff1d(sets["calibration"], sets["train"])
    if len(strays):
        home = next((name for name in ("val", "test") if strays[0] in sets[name]), "no set")
        raise PartitionError(
            f"{_images(len(strays))} of calibration {'is' if len(strays) == 1 else 'are'} not in "
            f"train: image {strays[0]}, of {home}, first"
        )
    letters = np.full(images, _UNUSED[0], np.uint8)
    for name in ("train", "calibration", "val", "test"):  # calibration over train, which holds it
        letters[sets[name]] = _LETTERS[name][0]
    disjoint = [sets[name] for name in ("train", "val", "test")]
    return {
        "splits": {
            name: {"n": len(indices), "sha256": hash_indices(indices)}
            for name, indices in sets.items()
        },
        "union": {
            "n": sum(map(len, disjoint)),
            "sha256": hash_indices(np.concatenate(disjoint)),
        },
        "partition": {
            "images": images,
            "letters": {name: letter.decode() for name, letter in _LETTERS.items()},
            "zlib_base64": base64.b64encode(zlib.compress(letters.tobytes(), 9)).decode(),
        },
    }


def verify_split(data: Mapping[str, Any]) -> bool:
    """Checks the proof in a bundle's `data`, as `record` made it.

    Returns:
        True where it holds; False where the bundle carries none, as older ones do.

    Raises:
        PartitionError: it does not prove what the bundle says.
    """
    if "partition" not in data:
        return False
    try:
        sets = _unpack(data["partition"])
        for name, entry in data["splits"].items():
            indices = sets[name]
            if (len(indices), hash_indices(indices)) != (entry["n"], entry["sha256"]):
                raise PartitionError(f"the {name} images are not those whose hash is recorded")
        union = np.concatenate([sets[name] for name in ("train", "val", "test")])
        if (len(union), hash_indices(union)) != (data["union"]["n"], data["union"]["sha256"]):
            raise PartitionError("train, val and test together are not the recorded union")
    except PartitionError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error) as error:
        raise PartitionError(f"the record of the images is malformed ({error!r})") from None
    return True


def _unpack(partition: Mapping[str, Any]) -> dict[str, Indices]:
    images = int(partition["images"])
    if not 0 <= images <= MAX_IMAGES:
        raise PartitionError(f"a partition of {images:,} images, allowed are {MAX_IMAGES:,}")
    packed = base64.b64decode(partition["zlib_base64"], validate=True)
    # Bounded, so that some kilobytes of zeros do not unpack to all of the memory.
    letters = np.frombuffer(zlib.decompressobj().decompress(packed, images + 1), np.uint8)
    if len(letters) != images:
        raise PartitionError(f"the partition is not of {images:,} images, as it says")
    sets = {name: np.flatnonzero(letters == letter[0]) for name, letter in _LETTERS.items()}
    sets["train"] = np.union1d(sets["train"], sets["calibration"])
    return {name: indices.astype(np.int64) for name, indices in sets.items()}


def _images(n: int) -> str:
    return f"{n:,} image{'' if n == 1 else 's'}"
