"""The official CIFAR-10 archives, binary and python version, whole or unpacked.

https://www.cs.toronto.edu/~kriz/cifar.html describes both formats.
"""

import io
import pickle
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Decoded
from training.data.download import download, md5_of
from training.data.errors import DataError, one_line
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

_BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5")
_MEMBERS = {*_BATCHES, "test_batch"}


def find_or_download(cache: Path, progress: ProgressCallback) -> Path:
    """The official archive in the cache's downloads; it is downloaded where neither is there."""
    folder = cache / "downloads"
    for name, md5 in MD5.items():
        if (folder / name).is_file():
            if md5_of(folder / name) != md5:
                raise DataError(f"{folder / name} is damaged (wrong MD5): delete it")
            return folder / name
    target = folder / "cifar-10-binary.tar.gz"
    download(URL, target, MD5[target.name], progress)
    return target


def find(path: Path) -> Path | None:
    """The archive, or the folder of unpacked batches, that `path` names or holds; or None."""
    if path.is_file():
        return path if path.name in MD5 else None
    for candidate in (path, path / "cifar-10-batches-bin", path / "cifar-10-batches-py"):
        if (candidate / "data_batch_1.bin").is_file() or (candidate / "data_batch_1").is_file():
            return candidate
    return next((path / name for name in MD5 if (path / name).is_file()), None)


def decode(source: Path) -> Decoded:
    """Reads the six batches. Raises DataError for one that is missing or malformed."""
    files = _archive_files(source) if source.is_file() else _folder_files(source)
    if "data_batch_1.bin" in files:
        suffix, parse = ".bin", parse_binary
    elif "data_batch_1" in files:
        suffix, parse = "", parse_python
    else:
        raise DataError(f"{source}: no data_batch_1; is it the CIFAR-10 archive?")
    images, targets, counts = [], [], {}
    for part, names in (("train", _BATCHES), ("test", ("test_batch",))):
        counts[part] = 0
        for name in names:
            if name + suffix not in files:
                raise DataError(f"{source}: {name}{suffix} is missing")
            pixels, labels = parse(files[name + suffix](), f"{source}: {name}{suffix}")
            images.append(pixels)
            targets.append(labels)
            counts[part] += len(labels)
    return Decoded(LABELS, np.concatenate(images), np.concatenate(targets), counts)


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
        batch = _BatchUnpickler(io.BytesIO(content), encoding="bytes").load()
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


class _BatchUnpickler(pickle.Unpickler):
    _ADMITTED = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("_codecs", "encode"),  # how Python 3 pickles bytes for Python 2
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        # numpy.core is gone from newer numpy, but the archive of 2009 names it.
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _pixels(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(planes.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1))


def _targets(labels: NDArray[Any], where: str) -> NDArray[np.int64]:
    if labels.min() < 0 or labels.max() >= len(LABELS):
        raise DataError(f"{where}: a label is not between 0 and {len(LABELS) - 1}")
    return labels.astype(np.int64)


def _folder_files(folder: Path) -> dict[str, Callable[[], bytes]]:
    return {path.name: path.read_bytes for path in folder.iterdir() if path.is_file()}


def _archive_files(path: Path) -> dict[str, Callable[[], bytes]]:
    """The batches by name; they are read into memory and never unpacked to the disk."""
    files: dict[str, Callable[[], bytes]] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if not member.isfile() or name.removesuffix(".bin") not in _MEMBERS:
                    continue
                stream = archive.extractfile(member)
                if member.size > MAX_BATCH_BYTES or stream is None:
                    raise DataError(f"{path}: {member.name} has {member.size:,} bytes")
                if name in files:
                    raise DataError(f"{path}: {name} is in it twice; download the archive again")
                content = stream.read()
                files[name] = lambda content=content: content  # type: ignore[misc]
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise DataError(f"{path}: not a whole tar archive ({one_line(error)})") from None
    return files
