"""From every mode that Pillow has to RGB of 8 bits: by the range that is declared, or refused."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tinysight.errors import ImageError
from tinysight.pictures.pnm import byte_scale

ToRgb: TypeAlias = Callable[[Image.Image], Image.Image]

_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_MAX_VALUE = 258, 262, 281
_WHITE_IS_ZERO = 0
_DECLARED = {(1 << bits) - 1 for bits in range(8, 17)}
"""Values of TIFF's MaxSampleValue that declare a depth. By the standard any other is a statistic,
"not to be used to affect the visual appearance"."""
_TWELVE_BITS = 4095
_STRIP_PIXELS = 1 << 18
"""Pixels that are looked at together."""


def rgb_converter(image: Image.Image) -> ToRgb:
    """The function that makes this image, or any part cropped from it, RGB.

    Transparency lies over black. Grey of 9 to 16 bits is scaled by the range that its file
    declares, which is 16 bits where it says nothing else.

    Raises ImageError for values without a declared range (32-bit integers, floats, and 16-bit ones
    of which at most 12 are used), and for modes that have no conversion (LAB).
    """
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        _check_colour_depth(image)
        return lambda part: part
    if mode.startswith("I;16") or mode == "I":
        return _grey_converter(image)
    if mode == "F":
        raise ImageError("floating-point values without a range: make 8 bits of them first")
    if mode == "LAB":
        raise ImageError("LAB colours, which are not converted: make RGB of them first")
    _check_colour_depth(image)
    if image.has_transparency_data:
        return _over_black
    return lambda part: part.convert("RGB")


def _over_black(part: Image.Image) -> Image.Image:
    if part.mode == "La":  # Pillow converts it to nothing but LA
        part = part.convert("LA")
    rgba = part.convert("RGBA")
    black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, rgba).convert("RGB")


def _grey_converter(image: Image.Image) -> ToRgb:
    tags = _tiff_tags(image)
    declared = _declared_maximum(image, tags)
    highest = 0xFFFF if declared is None else declared
    lowest_found, highest_found = _extrema(image)
    if lowest_found < 0 or highest_found > highest:
        raise ImageError(f"grey values beyond the declared range of 0 to {highest}")
    if declared is None:
        check_not_almost_black(highest_found)
    inverted = tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
    transparent = image.info.get("transparency")
    scale = byte_scale(highest)

    def convert(part: Image.Image) -> Image.Image:
        values: NDArray[Any] = np.asarray(part)
        grey = scale[values]
        if inverted:
            grey = 255 - grey
        if isinstance(transparent, int):
            grey[values == transparent] = 0
        return Image.fromarray(grey).convert("RGB")

    return convert


def _declared_maximum(image: Image.Image, tags: Any) -> int | None:
    """The value that is white, or black where the file says that it is inverted.

    None for 16 bits that are the width of the values, but may hold fewer.
    """
    if image.mode == "I":
        if image.format in ("PPM", "PNG"):  # of which Pillow makes 16 bits, whatever they have
            return 0xFFFF
        raise ImageError(
            "integers of 32 bits, or signed ones, without a range: make 8 bits of them first"
        )
    declared = _smallest(tags.get(_TIFF_MAX_VALUE))
    if declared in _DECLARED:
        return declared
    bits = _smallest(tags.get(_TIFF_BITS)) or 16
    return None if bits >= 16 else (1 << bits) - 1


def check_not_almost_black(highest: int) -> None:
    """Raises ImageError where the values of 16 bits are those of a camera of 12 or fewer, and
    nothing says so: the largest would be a dark grey of 15 in 255.
    """
    if 0 < highest <= _TWELVE_BITS:
        raise ImageError(
            f"values of at most {highest} in 16 bits, without a declared range: scale them to all "
            "16 bits, or to 8, first"
        )


def _extrema(image: Image.Image) -> tuple[int, int]:
    """Of a picture of one channel, in strips; Pillow's own function does not know every mode."""
    rows = max(1, _STRIP_PIXELS // image.width)
    found: list[int] = []
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        values: NDArray[Any] = np.asarray(strip)
        found += (int(values.min()), int(values.max()))
    return min(found), max(found)


def _check_colour_depth(image: Image.Image) -> None:
    """Pillow keeps the high byte of 16-bit colours: of 10 bits it would leave two."""
    transparent = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(transparent, tuple) and max(transparent) > 0xFF:
        raise ImageError("a transparent colour of 16 bits: make 8 bits of the picture first")
    tags = _tiff_tags(image)
    if (_smallest(tags.get(_TIFF_BITS)) or 8) <= 8:
        return
    declared = _smallest(tags.get(_TIFF_MAX_VALUE))
    if declared in _DECLARED and declared != 0xFFFF:
        raise ImageError(f"16-bit colours of 0 to {declared}: make 8 bits of them first")


def _tiff_tags(image: Image.Image) -> Any:
    return getattr(image, "tag_v2", None) or {}


def _smallest(value: Any) -> int | None:
    """Of a TIFF tag's value, which is one number, several, or what a damaged file has."""
    numbers = value if isinstance(value, tuple) else (value,)
    whole = [number for number in numbers if isinstance(number, int)]
    return min(whole, default=None)
