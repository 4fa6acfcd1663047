"""The error of this package, in a file of its own so that every module can raise it."""

from tinysight.errors import TinysightError


class DataError(TinysightError):
    """Data that cannot be found, read, or trained on; the message says what to do."""


def one_line(error: object) -> str:
    """What a library says, which may take several lines, in one."""
    return " ".join(str(error).split())
