"""Which image of the data served for what, kept so that anybody can check that none served twice.

A bundle stores one letter an image: that is a function of the image, so the sets it spells are
disjoint by construction, and nothing has to be believed but that the run used them. That follows
from the hashes: each set's is in provenance.json, as it was in the run's own record before the
export.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from tinysight.provenance import Assignment, IndexSet, SplitRecord

Indices = NDArray[np.int64]

_LETTERS = {"train": b"t", "calibration": b"c", "val": b"v", "test": b"e"}
_UNUSED = b"-"
_PART = 1 << 20
"""Letters that are unpacked at a time: some kilobytes of zeros do not fill the memory."""


class SplitError(ValueError):
    """Sets of images that overlap where they must not, or a record that does not prove its own."""


def hash_indices(indices: Indices) -> str:
    """SHA-256 over the sorted indices as little-endian 64-bit integers."""
    return hashlib.sha256(np.sort(indices).astype("<i8").tobytes()).hexdigest()


def record(sets: Mapping[str, Indices], images: int) -> SplitRecord:
    """What provenance.json says of the sets, with the proof.

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
    """Checks the proof in a bundle's data, as `record` made it, in bounded memory.

    Raises SplitError where it does not prove what the bundle says.
    """
    counts = dict.fromkeys((*_LETTERS, "union"), 0)
    hashes = {name: hashlib.sha256() for name in counts}
    members = dict(_LETTERS)
    members["train"] += members["calibration"]  # whose images are training images
    members["union"] = members["train"] + members["val"] + members["test"]
    begin = 0
    for letters in _unpack(splits.assignment):
        for name, alphabet in members.items():
            # In order of the images, as `hash_indices` sorts them.
            indices = np.flatnonzero(np.isin(letters, np.frombuffer(alphabet, np.uint8))) + begin
            counts[name] += len(indices)
            hashes[name].update(indices.astype("<i8").tobytes())
        begin += len(letters)
    for name in members:
        if IndexSet(counts[name], hashes[name].hexdigest()) != getattr(splits, name):
            if name == "union":
                raise SplitError("train, val and test together are not the recorded union")
            raise SplitError(f"the {name} images are not those whose hash is recorded")


def _index_set(indices: Indices) -> IndexSet:
    return IndexSet(len(indices), hash_indices(indices))


def _unpack(assignment: Assignment) -> Iterator[NDArray[np.uint8]]:
    """The letters of all images, a part at a time."""
    images, begin = assignment.images, 0
    try:
        packed = base64.b64decode(assignment.zlib_base64, validate=True)
        unpacker = zlib.decompressobj()
        while not unpacker.eof:
            content = unpacker.decompress(packed, _PART)
            packed = unpacker.unconsumed_tail
            if not content and not unpacker.eof:
                break  # it ends too early
            begin += len(content)
            if begin > images:
                break
            yield np.frombuffer(content, np.uint8)
    except (ValueError, zlib.error) as error:
        raise SplitError(f"the assignment of the images is damaged ({error})") from None
    if begin != images:
        raise SplitError(f"the assignment is not of {images:,} images, as it says")


def _is_or_are(images: Indices) -> str:
    return "is" if len(images) == 1 else "are"


def _count_images(n: int) -> str:
    return f"{n:,} image{'' if n == 1 else 's'}"
