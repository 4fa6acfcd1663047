"""The bytes of an encoded picture, from wherever they come: bounded in size, and in time for pipes.

Everything is read before anything is decoded. A path, a pipe and bytes in memory are therefore one
case for the decoders, and a file that changes meanwhile cannot disturb one.
"""

import os
import select
import stat
import time
from pathlib import Path
from typing import TypeAlias

from tinysight.errors import ImageError

Source: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview"

MAX_FILE_BYTES = 64 << 20
"""Of an encoded picture. An uncompressed one of 16 million RGBA pixels is about as large."""
PIPE_SECONDS = 1.0
"""From opening a pipe to its end: nobody may ever write into a named one."""

_OTHER_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def source_name(source: object) -> str:
    """How messages call a source: its path, or its size. Raises ImageError for what is neither."""
    if isinstance(source, (str, os.PathLike)):
        return os.fsdecode(source)
    if isinstance(source, (bytes, bytearray)):
        return f"{len(source)} bytes"
    if isinstance(source, memoryview):
        return f"{source.nbytes} bytes"
    raise ImageError(
        f"an image is a path, bytes, a PIL image or an array, not {type(source).__name__}"
    )


def read_source(source: Source) -> bytes:
    """The content of a file, or of bytes.

    Raises:
        ImageError: more than `MAX_FILE_BYTES`; or a folder, a device, a socket, or a pipe that
            does not end within `PIPE_SECONDS`. Without the source's name: the caller adds it.
        OSError: the file cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        return _read_file(os.fsdecode(source))
    _check_size(source.nbytes if isinstance(source, memoryview) else len(source))
    return source if isinstance(source, bytes) else bytes(source)


def _read_file(path: str) -> bytes:
    _check_kind(Path(path).stat().st_mode)  # before opening, which is an act where devices are
    # Without O_NONBLOCK, opening a pipe that nobody writes into would never return.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    try:
        status = os.fstat(handle)
        _check_kind(status.st_mode)
        if stat.S_ISFIFO(status.st_mode):
            return _read_pipe(handle)
        _check_size(status.st_size)
        parts = []
        size = 0
        while part := os.read(handle, max(status.st_size + 1 - size, 1 << 16)):
            parts.append(part)
            size += len(part)
            _check_size(size)
        return parts[0] if len(parts) == 1 else b"".join(parts)
    finally:
        os.close(handle)


def _read_pipe(handle: int) -> bytes:
    """All that is written until the pipe is closed, such as bash's `<(command)`."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    end = time.monotonic() + PIPE_SECONDS
    content = bytearray()
    while True:
        left = end - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise ImageError(
                f"a pipe without an end within {PIPE_SECONDS:g} s: write to standard input instead"
            )
        try:
            part = os.read(handle, 1 << 20)
        except BlockingIOError:
            continue
        if not part:
            return bytes(content)
        content += part
        _check_size(len(content))


def _check_kind(mode: int) -> None:
    other = _OTHER_KINDS.get(stat.S_IFMT(mode))
    if other is not None:
        raise ImageError(f"{other}, not a picture")


def _check_size(size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise ImageError(f"more than {MAX_FILE_BYTES >> 20} MB")
