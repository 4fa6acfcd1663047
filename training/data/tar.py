"""Tar archives, read as a stream: plain, or compressed in any way that this Python can read.

An archive is read where it lies: nothing of it is ever unpacked to the disk, so no name in it can
lead anywhere.
"""

import bz2
import gzip
import importlib
import lzma
import tarfile
import zlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import IO, Any, cast

from training.data.errors import DataError, one_line

try:
    _zstd: Any = importlib.import_module("compression.zstd")  # since Python 3.14
except ImportError:
    _zstd = None

_ERRORS: tuple[type[Exception], ...] = (
    tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError,
    *([_zstd.ZstdError] if _zstd else []),
)  # fmt: skip

MAX_HEADER_BYTES = 1 << 20
"""Of a long name or of pax records, which tarfile reads whole; real ones have some hundred."""
MAX_XZ_BYTES = 256 << 20
"""The memory of the decompressor; `xz -9` needs 65 MiB."""
_CHUNK = 1 << 16

ENDINGS = (".gz", ".tgz", ".xz", ".bz2", ".zst", ".tar")
"""Of an archive's name, in the order in which they are removed to get its title."""


def tar_members(
    path: Path, wanted: Callable[[tarfile.TarInfo], bool], max_bytes: int
) -> Generator[tuple[tarfile.TarInfo, bytes | None]]:
    """Every member of an archive in its order, decompressed only as far as the caller iterates.

    Args:
        path: the archive; its first bytes tell the compression, not its name.
        wanted: whether the content of a file is read; links and devices are never asked about.
        max_bytes: a wanted file that is larger is refused unread.

    Yields each member, and the content of the wanted files; None for all others.

    Raises DataError where the archive is damaged, cut short, or in a compression that this Python
    cannot read.
    """
    try:
        with (
            _decompressed(path) as content,
            tarfile.open(
                fileobj=cast(IO[bytes], watched := _Watched(content)),
                mode="r|",
                tarinfo=_BoundedTarInfo,
            ) as archive,
        ):
            while (member := archive.next()) is not None:
                # tarfile keeps every header: a kilobyte of memory each.
                archive.members.clear()  # type: ignore[attr-defined]
                if not member.isfile() or not wanted(member):
                    yield member, None
                    continue
                if member.size > max_bytes:
                    raise DataError(f"{path}: {member.name} has {member.size:,} bytes")
                stream = archive.extractfile(member)
                yield member, None if stream is None else stream.read()
            watched.check_end(archive.offset)
    except _TooLarge as error:
        raise DataError(f"{path}: {error}") from None
    except _ERRORS as error:
        raise DataError(f"{path}: not a whole tar archive ({one_line(error)})") from None


class _TooLarge(Exception):
    """Not tarfile's, which takes some of its own errors for the end of the archive."""


class _BoundedTarInfo(tarfile.TarInfo):
    """Refuses what tarfile would hold in memory at whatever length the archive states."""

    _HELD = (
        tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
    )  # fmt: skip

    @classmethod
    def frombuf(cls, buf: Any, encoding: Any, errors: Any) -> "_BoundedTarInfo":
        info = super().frombuf(buf, encoding, errors)
        if info.type in cls._HELD and info.size > MAX_HEADER_BYTES:
            raise _TooLarge(f"a header of {info.size:,} bytes, allowed are {MAX_HEADER_BYTES:,}")
        if info.type == tarfile.GNUTYPE_SPARSE:
            cls._refuse_sparse()
        return info

    @staticmethod
    def _refuse_sparse(*_: object) -> None:
        raise _TooLarge("a sparse file, whose map may have any length: pack it without --sparse")

    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse  # of pax headers


class _Xz:
    """An .xz file, whose headers may demand gigabytes for the decompressor's dictionary."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._decoder = lzma.LZMADecompressor(memlimit=MAX_XZ_BYTES)

    def __enter__(self) -> "_Xz":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end. Raises EOFError where the file is cut."""
        while True:
            compressed = b""
            if self._decoder.eof:
                rest = (self._decoder.unused_data or self._file.read(_CHUNK)).lstrip(b"\0")
                if not rest and not (rest := self._file.read(_CHUNK).lstrip(b"\0")):
                    return b""
                # Streams may follow each other, with zeros in between.
                self._decoder = lzma.LZMADecompressor(memlimit=MAX_XZ_BYTES)
                compressed = rest
            elif self._decoder.needs_input and not (compressed := self._file.read(_CHUNK)):
                raise EOFError("the compressed file ends too early")
            if content := self._decoder.decompress(compressed, size):
                return content


def _decompressed(path: Path) -> IO[bytes]:
    """Python's own decompressors: unlike tarfile's, they raise where the data stops too early."""
    with path.open("rb") as stream:
        magic = stream.read(5)
    if magic.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(path))
    if magic.startswith(b"BZh"):
        return bz2.open(path)
    if magic == b"\xfd7zXZ":
        return cast(IO[bytes], _Xz(path))
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        if _zstd is None:
            raise DataError(
                f"{path}: reading .zst needs Python 3.14; `unzstd` makes a .tar of it, which any "
                "Python reads"
            )
        return cast(IO[bytes], _zstd.open(path))
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
