"""The error of this package, in a file of its own so that every module can raise it."""

from tinysight.errors import TinysightError


class DataError(TinysightError):
    """Data that cannot be found, read, or trained on; the message says what to do."""
