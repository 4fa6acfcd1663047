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


def rgb_converter(image: Image.Image) -> ToRgb:
    """The function that makes this image, or any part cropped from it, RGB.

    Transparency lies over black. Grey of 9 to 16 bits is scaled by the range that its file
    declares, which is 16 bits where it says nothing else.

    Raises ImageError for values without a declared range (32-bit integers and floats), and for
    modes that have no conversion (LAB).
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
    highest = _declared_maximum(image, tags)
    inverted = tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
    transparent = image.info.get("transparency")
    scale = byte_scale(highest)

    def convert(part: Image.Image) -> Image.Image:
        values: NDArray[Any] = np.asarray(part)
        if values.size and not 0 <= int(values.min()) <= int(values.max()) <= highest:
            raise ImageError(f"grey values beyond the declared range of 0 to {highest}")
        grey = scale[values]
        if inverted:
            grey = 255 - grey
        if isinstance(transparent, int):
            grey[values == transparent] = 0
        return Image.fromarray(grey).convert("RGB")

    return convert


def _declared_maximum(image: Image.Image, tags: Any) -> int:
    """The value that is white (black, where the file says that it is inverted)."""
    if image.mode == "I":
        if image.format in ("PPM", "PNG"):  # of which Pillow makes 16 bits, whatever they have
            return 0xFFFF
        raise ImageError("integers of 32 bits without a range: make 8 bits of them first")
    declared = tags.get(_TIFF_MAX_VALUE)
    if declared in _DECLARED:
        return int(declared)
    bits = tags.get(_TIFF_BITS, (16,))[0]
    return (1 << min(int(bits), 16)) - 1


def _check_colour_depth(image: Image.Image) -> None:
    """Pillow keeps the high byte of 16-bit colours: of 10 bits it would leave two."""
    tags = _tiff_tags(image)
    if not tags or max(tags.get(_TIFF_BITS, (8,))) <= 8:
        return
    declared = tags.get(_TIFF_MAX_VALUE)
    lowest = min(declared) if isinstance(declared, tuple) else declared
    if lowest in _DECLARED and lowest != 0xFFFF:
        raise ImageError(f"16-bit colours of 0 to {lowest}: make 8 bits of them first")


def _tiff_tags(image: Image.Image) -> Any:
    return getattr(image, "tag_v2", None) or {}
