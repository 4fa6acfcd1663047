"""The formats that are read, and what decoding one may cost: a stated list, not what Pillow has.

Pillow tries plugin after plugin, imports some of them late, and lets several loop or allocate on
hostile files. Here a picture's first bytes name its one decoder, whatever was read before.
"""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinysight.errors import ImageError

if TYPE_CHECKING:
    from PIL import ImageFile

MAX_PIXELS = 16_000_000
"""Of what is decoded: a small file may claim any size."""
MAX_REDUCED_PIXELS = 100_000_000
"""Of a JPEG that is decoded at a fraction of its size, which takes little memory and time."""
MAX_MEMORY = 240_000_000
"""Bytes that decoding one picture may take: an estimate by the costs below, made before it."""
MAX_SCANS = 100
"""Of a progressive JPEG, each of which passes over all pixels; encoders make about ten."""


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """A format, and how Pillow reads it."""

    name: str
    plugin: str
    """The module of PIL and its class that reads the format."""
    endings: tuple[str, ...]
    pixel_bytes: float
    """Memory at the peak of decoding, in bytes a pixel, measured on Pillow 13 in the costliest
    mode: the picture itself takes up to 4, WebP's and AVIF's libraries several copies."""
    file_copies: float
    """How often the file's own content is then in memory, ours included."""

    def __post_init__(self) -> None:
        if not (self.pixel_bytes >= 4 and self.file_copies >= 1):
            raise ValueError("a decoder holds the picture, and we hold the file")


_JPEG_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
JPEG = ImageFormat("JPEG", "JpegImagePlugin.JpegImageFile", _JPEG_ENDINGS, 4.5, 1)
PNG = ImageFormat("PNG", "PngImagePlugin.PngImageFile", (".png", ".apng"), 4.5, 2)
WEBP = ImageFormat("WEBP", "WebPImagePlugin.WebPImageFile", (".webp",), 17.5, 2)
GIF = ImageFormat("GIF", "GifImagePlugin.GifImageFile", (".gif",), 4.5, 1)
BMP = ImageFormat("BMP", "BmpImagePlugin.BmpImageFile", (".bmp",), 6, 1)
TIFF = ImageFormat("TIFF", "TiffImagePlugin.TiffImageFile", (".tif", ".tiff"), 8.5, 2)
PPM = ImageFormat("PPM", "PpmImagePlugin.PpmImageFile", (".ppm", ".pgm", ".pbm", ".pnm"), 8, 1)
AVIF = ImageFormat("AVIF", "AvifImagePlugin.AvifImageFile", (".avif",), 19, 3)

FORMATS = {f.name: f for f in (JPEG, PNG, WEBP, GIF, BMP, TIFF, PPM, AVIF)}
"""By Pillow's names. An animation stands for its first picture."""
NAMES = "JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF, PPM"
"""For people."""
ENDINGS = frozenset(ending for f in FORMATS.values() for ending in f.endings)
"""Of the files that a folder stands for, in lower case."""

_BEGINNINGS = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"BM", BMP),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0", TIFF),  # BigTIFF
    (b"MM\0+", TIFF),
    # Binary ones only: those written as text take Pillow a second for a million pixels.
    (b"P4", PPM),
    (b"P5", PPM),
    (b"P6", PPM),
)
_AVIF_BRANDS = (b"avif", b"avis", b"mif1", b"msf1")


def recognize(content: bytes) -> ImageFormat:
    """The format that the first bytes name. Raises ImageError for any other."""
    for beginning, found in _BEGINNINGS:
        if content.startswith(beginning):
            return found
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return WEBP
    if content[4:8] == b"ftyp" and content[8:12] in _AVIF_BRANDS:
        return AVIF
    raise ImageError(f"not an image that tinysight reads ({NAMES})")


def reader(kind: ImageFormat) -> "type[ImageFile.ImageFile]":
    """Pillow's class for a format. Raises ImageError where this Pillow is too old to have it."""
    module, _, name = kind.plugin.partition(".")
    try:
        found: type[ImageFile.ImageFile] = getattr(importlib.import_module(f"PIL.{module}"), name)
    except ImportError:
        raise ImageError(f"this Pillow reads no {kind.name}") from None
    return found


def check_cost(
    kind: ImageFormat, pixels: int, file_bytes: int = 0, extra_bytes: float = 0.0
) -> None:
    """Raises ImageError where decoding so many pixels would take more than the limits.

    Args:
        kind: the picture's format.
        pixels: as many as are decoded.
        file_bytes: the size of its file.
        extra_bytes: memory that its decoder holds beside.
    """
    check_pixels(pixels)
    memory = pixels * kind.pixel_bytes + file_bytes * kind.file_copies + extra_bytes
    if memory > MAX_MEMORY:
        raise ImageError(
            f"decoding it could take {memory / 1e6:.0f} MB, more than {MAX_MEMORY / 1e6:.0f} MB"
        )


def check_pixels(pixels: int) -> None:
    """Raises ImageError for a picture without any, or of more than `MAX_PIXELS`."""
    if pixels < 1:
        raise ImageError("a picture without pixels")
    if pixels > MAX_PIXELS:
        raise ImageError(f"{pixels:,} pixels to decode, more than {MAX_PIXELS:,}")
