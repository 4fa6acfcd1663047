"""Data sets: `load_dataset` reads them, `split` divides them."""

from pathlib import Path

import numpy as np

from tinysight.files import cache_folder
from tinysight.integrity.data_split import hash_indices
from training.data import cifar10, digits, folder, tar
from training.data.cache import cached
from training.data.dataset import OWN, PARTS, Dataset, Decoded, Indices
from training.data.errors import DataError
from training.data.splits import Splits, split, stratified
from training.progress import ProgressCallback

__all__ = [
    "DataError",
    "Dataset",
    "Indices",
    "Splits",
    "hash_indices",
    "load_dataset",
    "split",
]

NAMES = ("digits", "cifar10")
HOLD_OUT = 0.2
"""Fraction of each class that becomes the test images where the data has none."""
HOLD_OUT_SEED = 0
"""Fixed, unlike a run's seed: no test image of one run may be a training image of another."""


def load_dataset(
    name_or_path: str | Path,
    *,
    size: tuple[int, int] = (32, 32),
    cache: Path | None = None,
    skip_broken: bool = False,
    progress: ProgressCallback = lambda what, done, total: None,  # noqa: ARG005
) -> Dataset:
    """Loads a data set. The first call decodes it into the cache; later ones memory-map that.

    Args:
        name_or_path: `digits` (bundled with scikit-learn), `cifar10` (the official archive from
            the cache, or the network), or the path of a folder or tar archive (.tar, .gz, .xz,
            .bz2; .zst from Python 3.14) of any name. It holds CIFAR-10's batches, in the python
            or the binary format, at the top or one folder deep, and is called "CIFAR-10" when
            they are the official images, else "CIFAR-10, a selection"; or it holds
            `train/<class>/*` and optionally `val/` and `test/`, or, a folder, `<class>/*`.
        size: height and width that pictures in class folders are resized to, pixels.
        cache: instead of `cache_folder()`.
        skip_broken: leave pictures out that cannot be read, instead of an error that names them.
        progress: called while reading and downloading.

    Raises:
        DataError: with one line that says what to do.
    """
    cache = cache or cache_folder()
    text = str(name_or_path)
    if text == "digits":
        decoded, fingerprint = cached(cache, "digits", size, lambda: digits.decode(size))
        return _dataset("digits", "digits", "digits", digits.ATTRIBUTION, decoded, fingerprint)
    path = Path(text).expanduser()
    if text == "cifar10":
        path = cifar10.find_or_download(cache, progress)
    elif not path.exists():
        raise DataError(
            f"{text!r} is neither a file, nor a folder, nor a data set ({', '.join(NAMES)})"
        )
    batches = cifar10.find(path)
    if batches is not None:
        if size != (cifar10.SIDE, cifar10.SIDE):
            raise DataError("CIFAR-10's batches hold images of 32 x 32")
        content = cifar10.hash_source(batches)
        decoded, fingerprint = cached(
            cache, content, size, lambda: cifar10.decode(batches, progress)
        )
        name, title = cifar10.name_and_title(fingerprint)
        source = text if text == "cifar10" else str(batches.resolve())
        return _dataset(name, title, source, cifar10.ATTRIBUTION, decoded, fingerprint)
    progress("looking for changes", 0, 0)
    content = folder.content_hash(path)
    decoded, fingerprint = cached(cache, content, size, lambda: folder.decode(path, size, progress))
    if not skip_broken:
        folder.check_broken(path, decoded.broken)
    name, title = _name_and_title(path)
    return _dataset(name, title, str(path.resolve()), OWN, decoded, fingerprint)


def _name_and_title(path: Path) -> tuple[str, str]:
    """Of class folders: what their folder or archive is called."""
    stem = path.resolve().name
    for ending in tar.ENDINGS:
        stem = stem.removesuffix(ending)
    slug = "".join(c if c.isalnum() and c.isascii() else "_" for c in stem.lower()).strip("_")
    return slug or "images", stem


def _dataset(
    name: str, title: str, source: str, attribution: str, decoded: Decoded, fingerprint: str
) -> Dataset:
    parts: dict[str, Indices] = {}
    start = 0
    for part in PARTS:
        if part in decoded.counts:
            parts[part] = np.arange(start, start + decoded.counts[part], dtype=np.int64)
            start += decoded.counts[part]
    notes = []
    if decoded.broken:
        notes.append(f"pictures that cannot be read, and are left out: {len(decoded.broken)}")
    if decoded.others:
        notes.append(f"files that are no pictures, and are left out: {decoded.others}")
    held_out = "test" not in parts
    if held_out:
        parts["train"], parts["test"] = stratified(
            parts["train"], decoded.targets, HOLD_OUT, HOLD_OUT_SEED, decoded.labels
        )
        notes.append(
            f"the data has no test images: {HOLD_OUT:.0%} of each class are held out for testing"
        )
    return Dataset(
        name=name,
        title=title,
        source=source,
        attribution=attribution,
        labels=decoded.labels,
        images=decoded.images,
        targets=decoded.targets,
        parts=parts,
        fingerprint=fingerprint,
        notes=tuple(notes),
        broken=decoded.broken,
        held_out=held_out,
    )
