"""Which image of the data served for what, kept so that anybody can check that none served twice.

A bundle stores one letter an image: that is a function of the image, so the sets it spells are
disjoint by construction, and nothing has to be believed but that the run used them. That follows
from the hashes: each set's is in bundle.json, as it was in the run's own record before the export.
"""

import base64
import hashlib
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tinysight.provenance import Assignment, IndexSet, SplitRecord

Indices = NDArray[np.int64]

_LETTERS = {"train": b"t", "calibration": b"c", "val": b"v", "test": b"e"}
_UNUSED = b"-"


class SplitError(ValueError):
    """Sets of images that overlap where they must not, or a record that does not prove its own."""


def hash_indices(indices: Indices) -> str:
    """SHA-256 over the sorted indices as little-endian 64-bit integers."""
    return hashlib.sha256(np.sort(indices).astype("<i8").tobytes()).hexdigest()


def record(sets: Mapping[str, Indices], images: int) -> SplitRecord:
    """What bundle.json says of the sets, with the proof.

    Args:
        sets: `train`, `calibration`, `val` and `test`, each indices into the data.
        images: how many the data has.

    Raises:
        SplitError: two of train, val and test share an image, an index is no image's or stands
            twice in a set, or calibration has an image that train has not.
    """
    if set(sets) != set(_LETTERS):
        raise SplitError(f"the sets are {', '.join(sets)}, not {', '.join(_LETTERS)}")
    for name, indices in sets.items():
        if len(indices) and not 0 <= indices.min() <= indices.max() < images:
            raise SplitError(f"{name} has an index that is none of the {images:,} images")
        if len(np.unique(indices)) != len(indices):
            raise SplitError(f"{name} has an image twice")
    for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
        shared = np.intersect1d(sets[first], sets[second])
        if len(shared):
            raise SplitError(
                f"{_count_images(len(shared))} of {first} {_is_or_are(shared)} in {second} too: "
                f"image {shared[0]} first"
            )
    strays = np.setdiff1d(sets["calibration"], sets["train"])
    if len(strays):
        home = next((name for name in ("val", "test") if strays[0] in sets[name]), "no set")
        raise SplitError(
            f"{_count_images(len(strays))} of calibration {_is_or_are(strays)} not in train: image "
            f"{strays[0]}, of {home}, first"
        )
    letters = np.full(images, _UNUSED[0], np.uint8)
    for name in ("train", "calibration", "val", "test"):  # calibration over train, which holds it
        letters[sets[name]] = _LETTERS[name][0]
    union = np.concatenate([sets[name] for name in ("train", "val", "test")])
    assignment = Assignment(
        images=images,
        letters={name: letter.decode() for name, letter in _LETTERS.items()},
        zlib_base64=base64.b64encode(zlib.compress(letters.tobytes(), 9)).decode(),
    )
    hashed = {name: _index_set(indices) for name, indices in sets.items()}
    return SplitRecord(**hashed, union=_index_set(union), assignment=assignment)


def verify_split(splits: SplitRecord) -> None:
    """Checks the proof in a bundle's data, as `record` made it.

    Raises SplitError where it does not prove what the bundle says.
    """
    sets = _unpack(splits.assignment)
    for name, indices in sets.items():
        if _index_set(indices) != getattr(splits, name):
            raise SplitError(f"the {name} images are not those whose hash is recorded")
    union = np.concatenate([sets[name] for name in ("train", "val", "test")])
    if _index_set(union) != splits.union:
        raise SplitError("train, val and test together are not the recorded union")


def _index_set(indices: Indices) -> IndexSet:
    return IndexSet(len(indices), hash_indices(indices))


def _unpack(assignment: Assignment) -> dict[str, Indices]:
    images = assignment.images
    try:
        packed = base64.b64decode(assignment.zlib_base64, validate=True)
        # Bounded, so that some kilobytes of zeros do not unpack to all of the memory.
        content = zlib.decompressobj().decompress(packed, images + 1)
    except (ValueError, zlib.error) as error:
        raise SplitError(f"the assignment of the images is damaged ({error})") from None
    letters = np.frombuffer(content, np.uint8)
    if len(letters) != images:
        raise SplitError(f"the assignment is not of {images:,} images, as it says")
    sets = {name: np.flatnonzero(letters == letter[0]) for name, letter in _LETTERS.items()}
    sets["train"] = np.union1d(sets["train"], sets["calibration"])
    return {name: indices.astype(np.int64) for name, indices in sets.items()}


def _is_or_are(images: Indices) -> str:
    return "is" if len(images) == 1 else "are"


def _count_images(n: int) -> str:
    return f"{n:,} image{'' if n == 1 else 's'}"
