"""Encoded pictures to Pillow images, in bounded memory; JPEGs at a fraction of their size."""

import contextlib
import io
import math
from typing import TYPE_CHECKING

from PIL import ExifTags, Image

from tinysight.errors import ImageError
from tinysight.pictures import formats, jpeg, pnm
from tinysight.pictures.colour import check_not_almost_black

if TYPE_CHECKING:
    from PIL import ImageFile

MAX_READS = 300_000
"""By which Pillow may read a file piece by piece, in Python: damaged chunks may be of any number.
"""
_SMALL_FILE = 100_000
"""Bytes: nothing in a file of so many takes long."""

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by the EXIF standard's values of Orientation; 1 is upright."""
SWAPPING = (
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_270,
)
"""Those that make a picture as wide as it was high."""


def decode(content: bytes, least: tuple[float, float] | None = None) -> Image.Image:
    """The picture in a file's content, completely decoded.

    Args:
        content: the file.
        least: height and width, in pixels, that something cropped about the centre of a JPEG to
            their ratio must still have: it is decoded at the smallest of 1, 1/2, 1/4 and 1/8 of its
            size that leaves so much. None decodes all pixels.

    Raises:
        ImageError: no format that is read, or beyond the limits of `tinysight.pictures.formats`.
        Exception: whatever Pillow's decoders raise of a damaged file.
    """
    kind = formats.recognize(content)
    if kind is formats.PPM:
        return pnm.decode(content)
    texts = _png_texts(content) if kind is formats.PNG else 0.0
    formats.check_cost(kind, 1, len(content), texts)  # opening alone unpacks them
    stream = io.BytesIO(content) if len(content) < _SMALL_FILE else _CountedReads(content)
    image = formats.reader(kind)(stream)
    if kind is formats.JPEG:
        _reduce(image, content, least)
    else:
        pixels = image.width * image.height
        wide = _wide_samples(image) * pixels if kind is formats.TIFF else 0.0
        formats.check_cost(kind, pixels, len(content), texts + wide)
    _load_pixels(image)
    return image


def load(image: Image.Image) -> None:
    """Decodes a Pillow image that `Image.open` only looked at, all of its pixels.

    Raises ImageError where it is beyond the limits, or of a format that is not read; else what
    Pillow's decoders raise.
    """
    formats.check_pixels(image.width * image.height)
    if not _is_decoded(image):
        kind = formats.FORMATS.get("JPEG" if image.format == "MPO" else str(image.format))
        if kind is None:
            raise ImageError(f"{image.format} is not read: give a picture that load() has decoded")
        coefficients = 0
        if kind is formats.JPEG:  # whose number of scans is unknown here
            coefficients = jpeg.COEFFICIENT_BYTES * len(image.getbands())
        pixels = image.width * image.height
        formats.check_cost(kind, pixels, extra_bytes=coefficients * pixels)
    _load_pixels(image)


def _is_decoded(image: Image.Image) -> bool:
    if getattr(image, "tile", None):
        return False
    try:  # several plugins have no tiles before they load; Pillow 11 on raises, 10 has None
        return image.im is not None
    except Exception:
        return False


def _load_pixels(image: Image.Image) -> None:
    """Decodes. Of 16-bit colours Pillow keeps the high bytes, which may hold next to nothing."""
    deep = ";16" in str(getattr(image, "tile", ""))  # forgotten afterwards
    image.load()
    if deep and image.mode in ("RGB", "RGBA", "LA"):
        bands = image.getextrema()[: 1 if image.mode == "LA" else 3]
        highest = max(int(band[1]) for band in bands)  # type: ignore[index]  # a pair a band
        check_not_almost_black((highest << 8 | 0xFF) if highest else 0)


def orientation(image: Image.Image) -> Image.Transpose | None:
    """What turns the image upright by its EXIF data; None where it is, or where they are junk.

    Ask after loading: Pillow turns TIFF pictures itself, and then forgets their orientation.
    """
    for _ in range(2):
        # Pillow raises struct.error, SyntaxError, TypeError, ... of junk, but only once: then it
        # answers by the part that it has read. Always asking twice gives one answer always.
        with contextlib.suppress(Exception):
            return _TRANSPOSE.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return None


def turned_upright(image: Image.Image) -> Image.Image:
    """The image, or a turned copy without the data that said so: it would be turned once more."""
    turn = orientation(image)
    if turn is None:
        return image
    turned = image.transpose(turn)
    for key in ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"):
        turned.info.pop(key, None)
    return turned


def _png_texts(content: bytes) -> float:
    """Bytes that a PNG's texts may become: Pillow unpacks each to a million characters, and holds
    those of Unicode, of which one is enough, in four bytes each.
    """
    unicode, latin = content.count(b"iTXt"), content.count(b"zTXt")
    return latin * 1e6 + unicode * 4e6 + (4.0 * len(content) if unicode else 0.0)


def _wide_samples(image: Image.Image) -> float:
    """Bytes a pixel above 4 of a TIFF as it is stored: libtiff may hold all of it in one strip."""
    tags = image.tag_v2  # type: ignore[attr-defined]  # a TIFF has them
    bits, samples = tags.get(258, (1,)), int(tags.get(277, 1))
    return float(max(0.0, max(sum(bits), bits[0] * samples) / 8 - 4))


def _reduce(
    image: "ImageFile.ImageFile", content: bytes, least: tuple[float, float] | None
) -> None:
    """Sets the fraction at which a JPEG will be decoded, and checks what that costs."""
    header = jpeg.read_header(content)
    pixels = image.width * image.height
    coefficients = 0
    if header.one_scan:
        if pixels > formats.MAX_REDUCED_PIXELS:
            raise ImageError(f"{pixels:,} pixels, more than {formats.MAX_REDUCED_PIXELS:,}")
    else:
        formats.check_pixels(pixels)
        if content.count(b"\xff\xda") > formats.MAX_SCANS:
            raise ImageError(f"a JPEG of more than {formats.MAX_SCANS} scans")
        coefficients = jpeg.COEFFICIENT_BYTES * header.components * pixels
    if least is not None:
        height, width = least
        turn = orientation(image)
        if turn in SWAPPING:
            height, width = width, height
        # Pillow takes the largest fraction by which both sides can be divided.
        side = min(image.width / width, image.height / height)
        image.draft(None, (math.ceil(image.width / side), math.ceil(image.height / side)))
    formats.check_cost(formats.JPEG, image.width * image.height, len(content), coefficients)


class _CountedReads(io.BytesIO):
    """A file in memory that ends the reading in more than `MAX_READS` pieces."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise OSError(f"damaged: in more than {MAX_READS:,} pieces")
        return super().read(size)
