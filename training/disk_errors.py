"""A full disk in one line, whichever library met it."""

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path

from tinysight.errors import TinysightError

_FULL = {errno.ENOSPC: "no space left on the disk", errno.EDQUOT: "the disk quota is used up"}
_SAID = re.compile(
    r"(no space left on device)|(disk quota exceeded)"  # TensorFlow, h5py
    r"|(\d+ requested and \d+ written)",  # numpy, which gives no errno
    re.IGNORECASE,
)


@contextlib.contextmanager
def clear_disk_errors(folder: Path, advice: str) -> Iterator[None]:
    """Turns a library's error on a full disk into a TinysightError.

    Args:
        folder: what is written, named where the error does not name a file.
        advice: what to do, which ends the line.
    """
    try:
        yield
    except TinysightError:
        raise
    except Exception as error:
        reason = full_disk(error)
        if reason is None:
            raise
        raise TinysightError(f"{folder}: {reason}: {advice}") from error


def full_disk(error: BaseException) -> str | None:
    """What is full, where that is the cause of an error; TensorFlow's and numpy's are read too."""
    code = error.errno if isinstance(error, OSError) else None
    if code in _FULL:
        return _FULL[code]
    said = _SAID.search(str(error))
    if said is None:
        return None
    return _FULL[errno.EDQUOT if said[2] else errno.ENOSPC]
