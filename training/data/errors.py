"""The error of this package."""

from tinysight.errors import TinysightError


class DataError(TinysightError):
    """Data that cannot be found, read, or trained on; the message says what to do."""


def one_line(error: object) -> str:
    """An error of a library, which may have several lines, in one."""
    return " ".join(str(error).split())
