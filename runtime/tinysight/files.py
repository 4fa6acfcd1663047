"""Writing that leaves either the old state or the new one, whatever happens in between."""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from tinysight.errors import TinysightError

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl


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

    A process that is killed leaves the old folder or the new one at `path`; where the system cannot
    exchange two folders in one step, `recover_folder` may have to put the old one back. What killed
    processes left beside it is deleted here.

    Raises FileExistsError when something is at `path` already, unless `overwrite` is given; the
    old folder is then removed only after the new one has taken its place.
    """
    import shutil

    recover_folder(path)
    if path.exists() and not overwrite:
        raise FileExistsError(str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    _delete_abandoned(path)
    temporary, handle = _temporary_folder(path)
    try:
        yield temporary
        for file in temporary.rglob("*"):
            _sync(file)
        temporary.chmod(0o755)
        _sync(temporary)
        if overwrite and path.exists():
            _replace_folder(temporary, path)
        else:
            temporary.rename(path)
        _sync(path.parent)
        shutil.rmtree(temporary, ignore_errors=True)  # the old one, where they were exchanged
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    finally:
        if handle is not None:
            os.close(handle)


def exchange_folders(one: Path, other: Path) -> bool:
    """Gives two folders each other's name in one step; False where the system cannot.

    Linux: renameat2(2) with RENAME_EXCHANGE (most local file systems); macOS: renamex_np(2) with
    RENAME_SWAP (APFS).
    """
    import ctypes

    if os.name != "posix":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    swap = ctypes.c_uint(2)  # RENAME_EXCHANGE and RENAME_SWAP are the same number
    if hasattr(libc, "renameat2"):
        here = ctypes.c_int(-100)  # AT_FDCWD
        done = libc.renameat2(here, names[0], here, names[1], swap)
    elif hasattr(libc, "renamex_np"):
        done = libc.renamex_np(*names, swap)
    else:
        return False
    if done == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM):
        return False
    raise OSError(code, os.strerror(code), str(other))


def recover_folder(path: Path) -> None:
    """Puts a folder back that a killed process had moved aside and not yet replaced.

    Does nothing where `path` is there, or cannot be written.
    """
    with contextlib.suppress(OSError):
        if path.name and not path.exists():
            _aside(path).rename(path)


def _replace_folder(new: Path, path: Path) -> None:
    """`new` takes the place of `path`; the old one is deleted, or lies at `new` afterwards."""
    import shutil

    if exchange_folders(new, path):
        return
    # A folder cannot replace a full one in one step: move the old one aside first.
    aside = _aside(path)
    for attempts_left in (2, 1, 0):
        if path.exists() and aside.exists():  # of a process killed before it had deleted this
            shutil.rmtree(aside)
        path.rename(aside)
        try:
            new.rename(path)
            break
        except BaseException as error:
            recover_folder(path)
            # Meanwhile a reader may have put the old folder back.
            code = error.errno if isinstance(error, OSError) else None
            if code not in (errno.ENOTEMPTY, errno.EEXIST) or not attempts_left:
                raise
    shutil.rmtree(aside)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _temporary_folder(path: Path) -> tuple[Path, int | None]:
    """A new folder beside `path`, and a handle that locks it while this process lives."""
    import tempfile

    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.new-"))
    return temporary, _lock(temporary)


def _delete_abandoned(path: Path) -> None:
    """Deletes the temporary folders of processes that were killed: nobody holds their lock."""
    import re
    import shutil

    pattern = re.compile(re.escape(f".{path.name}.new-") + "[a-z0-9_]{8}")
    for one in path.parent.iterdir():
        if pattern.fullmatch(one.name) and one.is_dir():
            handle = _lock(one)
            if handle is not None:
                shutil.rmtree(one, ignore_errors=True)
                os.close(handle)


class BusyError(TinysightError):
    """Another process is writing there."""


@contextlib.contextmanager
def sole_writer(lock: Path, what: Path) -> Iterator[None]:
    """Holds a lock while the block writes `what`; two processes would destroy each other's work.

    The system releases the lock when its process ends, however it ends; a file that a killed
    process leaves locks nobody out. Where there are no such locks (Windows, some network drives)
    this does nothing.

    Args:
        lock: a file for it, which is deleted at the end; its folder must exist.
        what: named in the message.

    Raises BusyError when another process holds it.
    """
    if fcntl is None:
        yield
        return
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise BusyError(
                f"{what} is being written by another process: wait for it, or choose another folder"
            ) from None
        except OSError:
            break  # this file system has no locks
        # Whoever held it may have deleted the file between our two calls.
        with contextlib.suppress(FileNotFoundError):
            if lock.stat().st_ino == os.fstat(handle).st_ino:
                break
        os.close(handle)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)


@contextlib.contextmanager
def sole_writer_inside(folder: Path) -> Iterator[None]:
    """`sole_writer` of a folder that grows file by file; it is made, and stays unless empty."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with sole_writer(folder / ".lock", folder):
            yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()


def sole_writer_beside(path: Path) -> contextlib.AbstractContextManager[None]:
    """`sole_writer` of a folder that `new_folder` replaces as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return sole_writer(path.with_name(f".{path.name}.lock"), path)


def move_into_place(temporary: Path, path: Path) -> None:
    """Replaces the file at `path` by a finished one in the same folder, both safe on the disk."""
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)


def _lock(path: Path) -> int | None:
    """A handle that holds the lock of a folder; None where another does, or there are no locks."""
    if fcntl is None:
        return None
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


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
