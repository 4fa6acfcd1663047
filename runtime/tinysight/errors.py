"""Everything that tinysight raises on purpose. A command line turns each into one line."""


class TinysightError(Exception):
    """The base of all: catch this one to catch every error below."""


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
