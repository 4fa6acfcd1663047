"""Writing that leaves either the old state or the new one, whatever happens in between."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tinysight.errors import TinysightError


def read_regular(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file of limited size.

    A FIFO is not waited for, and a device that never ends is not read.

    Raises:
        ValueError: it is no regular file, or larger.
        OSError: it cannot be read.
    """
    # Without O_NONBLOCK, opening a FIFO waits for a writer. A regular file ignores it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
        os.close(handle)
        if stat.S_ISREG(status.st_mode):
            raise ValueError(f"{status.st_size:,} bytes, allowed are {max_bytes:,}")
        raise ValueError("not a regular file")
    with os.fdopen(handle, "rb") as stream:
        content = stream.read(max_bytes + 1)  # not what was said before: it may grow meanwhile
    if len(content) > max_bytes:
        raise ValueError(f"more than {max_bytes:,} bytes")
    return content


def write_bytes(path: Path, content: bytes) -> None:
    """Replaces the file at `path` in one step; its folder must exist."""
    import tempfile  # late: what only reads, as a device does, need not wait for it

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)  # mkstemp gives 0600, which another user could not read
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


@contextlib.contextmanager
def new_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yields a temporary folder beside `path`, which becomes `path` when the block succeeds.

    Raises FileExistsError when something is at `path` already, unless `overwrite` is given; the
    old folder is then removed only after the new one has taken its place.
    """
    import shutil
    import tempfile

    if path.exists() and not overwrite:
        raise FileExistsError(str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        for file in temporary.rglob("*"):
            _sync(file)
        temporary.chmod(0o755)
        _sync(temporary)
        if overwrite and path.exists():
            # A folder cannot replace a full one in one step: move the old one aside first.
            aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
            old = aside / path.name
            try:
                path.rename(old)
                temporary.rename(path)
            except BaseException:
                if old.exists():
                    old.rename(path)
                aside.rmdir()
                raise
            shutil.rmtree(aside)
        else:
            temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Forces a file, or a folder's list of names, to the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a folder
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cache_folder() -> Path:
    """$TINYSIGHT_CACHE, or tinysight in the user's cache folder; it need not exist yet.

    Raises TinysightError for a user without a home folder, as many services are.
    """
    named = os.environ.get("TINYSIGHT_CACHE")
    if named:
        return Path(named)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinysight"
    except RuntimeError:
        raise TinysightError(
            "there is no home folder to keep anything in: name one by TINYSIGHT_CACHE"
        ) from None
