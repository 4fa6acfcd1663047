"""The official CIFAR-10 batches, binary and python format, in any tar archive or folder.

https://www.cs.toronto.edu/~kriz/cifar.html describes both formats.
"""

import mmap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.batch_pickle import load_batch
from training.data.dataset import Decoded
from training.data.download import download, hash_of
from training.data.errors import DataError, one_line
from training.data.folder import class_folder_key, content_hash
from training.data.tar import tar_members
from training.progress import ProgressCallback

ATTRIBUTION = "CIFAR-10, A. Krizhevsky, Learning Multiple Layers of Features (2009)"
LABELS = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MD5 = {
    "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
    "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
}
SIDE = 32
_RECORD = 1 + 3 * SIDE * SIDE
MAX_BATCH_BYTES = 64 << 20
"""Twice what the largest official member has."""

OFFICIAL_FINGERPRINT = "27bf49bb6bf0789e3e114ae6c35fc55de283de4cceee2b5cea2fb3e933cf6167"
"""Of the six official batches, decoded from python files of the published MD5s.

It covers every label and pixel in order, so it decides for both formats what the MD5 of each
member decides for one; the binary batches hold the same images in the same order.
"""

_BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5")
_PARTS = {"train": _BATCHES, "test": ("test_batch",)}
_FILES = tuple(f"{name}{suffix}" for name in (*_BATCHES, "test_batch") for suffix in ("", ".bin"))


def find_or_download(cache: Path, progress: ProgressCallback) -> Path:
    """The official archive in the cache's downloads; it is downloaded where neither is there."""
    folder = cache / "downloads"
    for name, md5 in MD5.items():
        if (folder / name).is_file():
            if hash_of(folder / name) != md5:
                raise DataError(f"{folder / name} is damaged (wrong MD5): delete it")
            return folder / name
    target = folder / "cifar-10-binary.tar.gz"
    download(URL, target, MD5[target.name], progress)
    return target


def find(path: Path) -> Path | None:
    """The archive or folder of batches that `path` names or holds; None where there are none.

    Batches are recognized by their names, at the top or one folder deep. An archive is read up to
    its first batch, or its first class folder: it then has to be read in another way.
    """
    if path.is_file():
        return path if _is_archive_of_batches(path) else None
    try:
        folders = [path, *sorted(entry for entry in path.iterdir() if entry.is_dir())]
        for candidate in folders:
            if any((candidate / name).is_file() for name in _FILES):
                return candidate
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({one_line(error)})") from None
    return next((path / name for name in MD5 if (path / name).is_file()), None)


def name_and_title(fingerprint: str) -> tuple[str, str]:
    """What a data set of this fingerprint is called: all of CIFAR-10, or a selection."""
    if fingerprint == OFFICIAL_FINGERPRINT:
        return "cifar10", "CIFAR-10"
    return "cifar10_selection", "CIFAR-10, a selection"


def hash_source(source: Path) -> str:
    """A hash over an archive's bytes, or over the names and contents of the batches in a folder."""
    try:
        if source.is_file():
            return content_hash(source)
        return " ".join(f"{file.name} {content_hash(file)}" for file in _folder_files(source))
    except OSError as error:
        raise DataError(f"{source}: cannot be read ({one_line(error)})") from None


def decode(source: Path, progress: ProgressCallback) -> Decoded:
    """Reads the six batches. Raises DataError for one that is missing or malformed."""
    batches: dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]] = {}
    contents = _archive_contents(source) if source.is_file() else _folder_contents(source)
    for name, content in contents:
        stem = name.removesuffix(".bin")
        if stem in batches:
            raise DataError(f"{source}: {stem} is in it twice; which one is meant?")
        parse = parse_python if name == stem else parse_binary
        batches[stem] = parse(content, f"{source}: {name}")
        progress("reading batches", len(batches), len(_BATCHES) + 1)
    for stem in (*_BATCHES, "test_batch"):
        if stem not in batches:
            raise DataError(f"{source}: {stem} is missing")
    counts = {part: sum(len(batches[name][1]) for name in _PARTS[part]) for part in _PARTS}
    targets = np.concatenate([batches[name][1] for names in _PARTS.values() for name in names])
    images = np.empty((len(targets), SIDE, SIDE, 3), np.uint8)
    start = 0
    for names in _PARTS.values():
        for name in names:  # each batch is freed once it is copied: two of all would be 370 MB
            batch, _ = batches.pop(name)
            images[start : start + len(batch)] = batch
            start += len(batch)
    return Decoded(LABELS, images, targets, counts)


def parse_binary(content: bytes, where: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Records of one label byte and 3,072 pixel bytes, red then green then blue, row by row.

    Returns uint8 (n, 32, 32, 3) and int64 (n,). Raises DataError.
    """
    if not content or len(content) % _RECORD:
        raise DataError(f"{where}: {len(content):,} bytes are no whole records of {_RECORD}")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, _RECORD)
    return _pixels(records[:, 1:]), _targets(records[:, 0], where)


def parse_python(content: bytes, where: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A pickled dictionary with `data`, uint8 (n, 3072), and `labels`, n integers.

    Returns uint8 (n, 32, 32, 3) and int64 (n,). Raises DataError, also for a pickle that holds
    anything else: unpickling it in the usual way would run whatever it says.
    """
    try:
        batch = load_batch(content)
        data, labels = batch[b"data"], batch[b"labels"]
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8:
            raise ValueError("data is no uint8 array")
        if data.ndim != 2 or data.shape[1] != _RECORD - 1 or len(data) == 0:
            raise ValueError(f"data has the shape {data.shape}")
        if not isinstance(labels, list) or len(labels) != len(data):
            raise ValueError("labels do not fit the data")
        if not all(type(label) is int for label in labels):
            raise ValueError("a label is no integer")
        return _pixels(data), _targets(np.array(labels), where)
    except DataError:
        raise
    except Exception as error:  # a hostile pickle can make the unpickler raise anything
        raise DataError(f"{where}: not a CIFAR-10 batch ({one_line(error)})") from None


def _pixels(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Uint8 (n, 3072) as images (n, 32, 32, 3)."""
    # In pages that go back to the system when freed: malloc would keep blocks of this size.
    images = np.frombuffer(mmap.mmap(-1, planes.size), np.uint8).reshape(-1, SIDE, SIDE, 3)
    images[:] = planes.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return images


def _targets(labels: NDArray[Any], where: str) -> NDArray[np.int64]:
    if labels.min() < 0 or labels.max() >= len(LABELS):
        raise DataError(f"{where}: a label is not between 0 and {len(LABELS) - 1}")
    return labels.astype(np.int64)


def _batch_name(member: str) -> str | None:
    """The name of a batch at the top of an archive or one folder deep; None for anything else."""
    *folders, name = [part for part in PurePosixPath(member).parts if part != "."] or [""]
    return name if name in _FILES and len(folders) <= 1 else None


def _is_archive_of_batches(path: Path) -> bool:
    # Closed at once: the rest of a large archive need not be decompressed to know.
    with closing(tar_members(path, lambda _: False, 0)) as members:
        for member, _ in members:
            if member.isfile() and _batch_name(member.name):
                return True
            if class_folder_key(member.name):
                return False
    return False


def _archive_contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each batch in an archive, in its order."""
    members = tar_members(path, lambda member: bool(_batch_name(member.name)), MAX_BATCH_BYTES)
    for member, content in members:
        name = _batch_name(member.name)
        if name and content is not None:
            yield name, content


def _folder_contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in _folder_files(folder):
        try:
            yield file.name, file.read_bytes()
        except OSError as error:
            raise DataError(f"{file}: cannot be read ({one_line(error)})") from None


def _folder_files(folder: Path) -> list[Path]:
    """The batches in a folder. Raises DataError for a file that is too large for one."""
    files = [folder / name for name in sorted(_FILES) if (folder / name).is_file()]
    for file in files:
        if (size := file.stat().st_size) > MAX_BATCH_BYTES:
            raise DataError(f"{file} has {size:,} bytes: too many for a batch of CIFAR-10")
    return files
