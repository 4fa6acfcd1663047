"""Everything that tinysight raises on purpose. A command line turns each into one line."""

import re

# Control characters, what orders text from right to left, and what else ends a line: all that a
# terminal would act upon instead of showing it.
_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text on one line, with what a terminal would act upon written as an escape (`\\x1b`)."""
    if text.isascii() and text.isprintable():
        return text
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


class TinysightError(Exception):
    """The base of all: catch this one to catch every error below.

    Its message is one line that may be printed anywhere, whatever a file's name or content is.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class TinysightWarning(UserWarning):
    """What a command line prints on one line, as it goes on nevertheless."""


class ImageError(TinysightError):
    """An image that cannot be read, or an array that is not uint8 height x width x 3."""


class CameraError(TinysightError):
    """A camera, video file or stream that cannot be opened, or gives no more frames."""


class BundleError(TinysightError):
    """A bundle that is missing, damaged, of another format version, or beyond the limits."""


class SignatureError(BundleError):
    """A bundle that no trusted key has signed, whose signature is not valid or has expired; or a
    key that cannot be read."""


class UpdateError(TinysightError):
    """A store of bundles that is damaged or busy, or an update that cannot be fetched or taken."""


class MissingExtraError(TinysightError):
    """A stage was asked for whose optional dependencies are not installed."""


def first_line(error: BaseException) -> str:
    """The first line of what another package says of its error, or the error's type."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
