"""Data sets: `load_dataset` reads them, `split` divides them."""

from pathlib import Path

import numpy as np

from tinysight.files import cache_folder
from tinysight.integrity.data_split import hash_indices
from training.data import cifar10, digits, folder
from training.data.cache import cached
from training.data.dataset import PARTS, Dataset, Decoded, Indices
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
    progress: ProgressCallback = lambda what, done, total: None,  # noqa: ARG005
) -> Dataset:
    """Loads a data set. The first call decodes it into the cache; later ones memory-map that.

    Args:
        name_or_path: `digits` (bundled with scikit-learn), `cifar10` (the official archive from
            the cache, or the network), an official CIFAR-10 archive or the folder that holds it,
            or a folder or tar archive with `train/<class>/*` and optionally `val/` and `test/`.
            Only downloads are checked by MD5: a file given by name may be a selection.
        size: height and width that pictures in class folders are resized to, pixels.
        cache: instead of `cache_folder()`.
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
    official = cifar10.find(path)
    if official is not None:
        if size != (cifar10.SIDE, cifar10.SIDE):
            raise DataError("the CIFAR-10 archive holds images of 32 x 32")
        content = folder.content_hash(official) if official.is_file() else _hash_files(official)
        decoded, fingerprint = cached(cache, content, size, lambda: cifar10.decode(official))
        source = text if text == "cifar10" else str(official.resolve())
        return _dataset("cifar10", "CIFAR-10", source, cifar10.ATTRIBUTION, decoded, fingerprint)
    progress("looking for changes", 0, 0)
    content = folder.content_hash(path)
    decoded, fingerprint = cached(cache, content, size, lambda: folder.decode(path, size, progress))
    name, title, attribution = _describe(path, decoded)
    return _dataset(name, title, str(path.resolve()), attribution, decoded, fingerprint)


def _describe(path: Path, decoded: Decoded) -> tuple[str, str, str]:
    """Name, title and attribution of class folders."""
    stem = path.resolve().name
    for ending in (".gz", ".tgz", ".xz", ".bz2", ".tar"):
        stem = stem.removesuffix(ending)
    slug = "".join(c if c.isalnum() and c.isascii() else "_" for c in stem.lower()).strip("_")
    if slug == "cifar10_jpeg" and decoded.labels == cifar10.LABELS:
        return "cifar10_jpeg", "CIFAR-10 (JPEG copy)", cifar10.ATTRIBUTION
    return slug or "images", stem, "supplied by the user"


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
    if "test" not in parts:
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
    )


def _hash_files(path: Path) -> str:
    """A hash over the names and contents of an unpacked archive's files."""
    files = sorted(file for file in path.iterdir() if file.is_file())
    return " ".join(f"{file.name} {folder.content_hash(file)}" for file in files)
