"""Class folders, on disk or in a tar archive: train/<class>/*, and val/ and test/ if there are.

An archive is read where it lies: nothing of it is ever unpacked to the disk, so no name in it can
lead anywhere.
"""

import bz2
import gzip
import hashlib
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

import numpy as np

from tinysight.errors import ImageError
from tinysight.preprocess import Pixels, to_pixels
from training.data.dataset import PARTS, Decoded
from training.data.errors import DataError, one_line
from training.progress import ProgressCallback

MAX_FILE_BYTES = 256 << 20
"""A larger member of an archive is refused: no small image is that large."""

_LITTER = {"thumbs.db", "desktop.ini"}
"""What file managers leave behind; names with a leading dot are left out too."""

Key = tuple[str, str, str]
"""Part, class, and the name below it."""


def archive_members(path: Path) -> Iterator[tuple[Key, bytes | None]]:
    """Every picture's key and bytes; a class folder on its own has an empty name and None."""
    try:
        with (
            _decompressed(path) as content,
            tarfile.open(
                fileobj=cast(IO[bytes], watched := _Watched(content)), mode="r|"
            ) as archive,
        ):
            for member in archive:
                if not (member.isfile() or member.isdir()):
                    continue  # a link or a device holds no picture
                key = _key(member.name)
                if key is None:
                    continue
                if member.isdir():
                    if not key[2]:
                        yield key, None
                    continue
                if member.size > MAX_FILE_BYTES:
                    raise DataError(f"{path}: {member.name} has {member.size:,} bytes")
                stream = archive.extractfile(member)
                if key[2] and stream is not None:
                    yield key, stream.read()
            watched.check_end(archive.offset)
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        raise DataError(f"{path}: not a whole tar archive ({one_line(error)})") from None


def _decompressed(path: Path) -> IO[bytes]:
    """Python's own decompressors: unlike tarfile's, they raise where the data stops too early."""
    with path.open("rb") as stream:
        magic = stream.read(5)
    if magic.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(path))
    if magic.startswith(b"BZh"):
        return bz2.open(path)
    if magic == b"\xfd7zXZ":
        return lzma.open(path)
    return path.open("rb")


class _Watched:
    """A stream that knows what it gave last.

    tarfile takes a header that is cut or damaged for the end of the archive, and says nothing: an
    archive that was half copied would be trained on as if that were all.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._tail = b""
        self._given = 0

    def read(self, size: int) -> bytes:
        chunk = self._stream.read(size)
        self._tail = (self._tail + chunk)[-4 * tarfile.RECORDSIZE :]
        self._given += len(chunk)
        return chunk

    def check_end(self, offset: int) -> None:
        """Raises unless a block of zeros at `offset` ends the archive, and all checksums agree."""
        start = len(self._tail) - (self._given - offset)
        if self._tail[start : start + tarfile.BLOCKSIZE] != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it is cut or damaged")
        while self._stream.read(1 << 20):  # gzip's checksum comes last
            pass


def folder_members(path: Path) -> Iterator[tuple[Key, Path | None]]:
    """Every picture's key and file; a class folder on its own has an empty name and None."""
    for part in PARTS:
        if not (path / part).is_dir():
            continue
        for directory in sorted((path / part).iterdir()):
            if not directory.is_dir() or directory.name.startswith("."):
                continue
            yield (part, directory.name, ""), None
            for file in sorted(directory.rglob("*")):
                key = _key(file.relative_to(path).as_posix())
                if key is not None and file.is_file():
                    yield key, file


def content_hash(path: Path) -> str:
    """SHA-256 over an archive's bytes, or over the names and contents in a folder."""
    digest = hashlib.sha256()
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    for key, file in folder_members(path):
        content = b"" if file is None else file.read_bytes()
        digest.update(f"{key} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def decode(path: Path, size: tuple[int, int], progress: ProgressCallback) -> Decoded:
    """Reads and resizes every picture. Raises DataError for what cannot be trained on."""
    members = archive_members(path) if path.is_file() else folder_members(path)
    pixels: dict[Key, Pixels] = {}
    classes: dict[str, set[str]] = {}
    broken: list[str] = []
    for key, source in members:
        part, label, _ = key
        classes.setdefault(part, set()).add(label)
        if source is None:
            continue
        if key in pixels:  # the last would replace the others, and nobody would miss them
            raise DataError(
                f"{path}: two pictures are {'/'.join(key)}; an archive holds one data set, "
                "and each name once"
            )
        try:
            pixels[key] = to_pixels(source, *size)
        except ImageError as error:
            reason = str(error).rpartition(": ")[2]
            broken.append(f"{'/'.join(key)}: {reason}")
        if len(pixels) % 500 == 0:
            progress("reading pictures", len(pixels), 0)
    if broken:
        many = f"{len(broken)} pictures cannot be read, the first is " if len(broken) > 1 else ""
        raise DataError(f"{path}: {many}{broken[0]}")
    labels = _check(path, classes, set(pixels))
    keys = sorted(pixels, key=lambda key: (PARTS.index(key[0]), *key))
    index = {label: i for i, label in enumerate(labels)}
    return Decoded(
        labels=labels,
        images=np.stack([pixels[key] for key in keys]),
        targets=np.array([index[label] for _, label, _ in keys], dtype=np.int64),
        counts={part: sum(key[0] == part for key in keys) for part in PARTS if part in classes},
    )


def _check(path: Path, classes: dict[str, set[str]], keys: set[Key]) -> tuple[str, ...]:
    """Returns the labels, sorted, when every part has pictures of every one of them."""
    if not classes.get("train"):
        raise DataError(f"{path}: no class folders; expected is train/<class>/<picture>")
    labels = classes["train"]
    if len(labels) < 2:
        raise DataError(f"{path}: train/ has only the class {min(labels)!r}; two are needed")
    filled = {(part, label) for part, label, _ in keys}
    for part, present in classes.items():
        for label in sorted(present - labels):
            raise DataError(f"{path}: {part}/ has the class {label!r}, which train/ has not")
        for label in sorted(labels - present):
            raise DataError(f"{path}: {part}/ has no class {label!r}, which train/ has")
        for label in sorted(present):
            if (part, label) not in filled:
                raise DataError(f"{path}: {part}/{label} holds no picture")
    return tuple(sorted(labels))


def _key(name: str) -> Key | None:
    """The key of `[folder/]part/class/name`; None for what is none of the data's business."""
    parts = [part for part in PurePosixPath(name).parts if part != "."]
    if len(parts) > 1 and parts[0] not in PARTS:
        parts = parts[1:]  # an archive's one folder around everything
    if len(parts) < 2 or parts[0] not in PARTS or ".." in parts:
        return None
    if any(part.startswith(".") for part in parts) or parts[-1].lower() in _LITTER:
        return None
    return parts[0], parts[1], "/".join(parts[2:])
