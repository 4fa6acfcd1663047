"""From whatever holds a picture to the uint8 pixels that a model takes. Pure functions.

The training stage reads its folders through this module too: a model then sees on the device
exactly what it saw when it was trained.

What is promised of one picture that comes in several ways:
  - A path and the same bytes give equal pixels, whatever was read before.
  - So do its decoded pixels as a PIL image or an array, for every format but JPEG.
  - A JPEG of more than 2 x `REDUCING_GAP` times the model's size is decoded at a half, a quarter or
    an eighth of its size, which is many times quicker; its pixels differ then from those of the
    decoded array by about 1 of 255 in the mean. docs/pictures.md has the figures.
"""

import math
import os
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tinysight.errors import ImageError
from tinysight.pictures.colour import ToRgb, rgb_converter
from tinysight.pictures.decoding import SWAPPING, decode, load, orientation, turned_upright
from tinysight.pictures.formats import MAX_PIXELS
from tinysight.pictures.source import Source, read_source, source_name

Pixels: TypeAlias = NDArray[np.uint8]
ImageLike: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | NDArray[Any]"
)

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Pillow's filters by name; all but nearest average over the source area when they shrink."""
RESAMPLE = "lanczos"
"""The best of those that average, for small images: `python -m benchmarks resampling`. A softer one
takes away what models of 32 pixels a side live on."""
REDUCING_GAP = 3.0
"""A photo is first shrunk by whole numbers to not less than so many times the model's size, by
plain means, which are quick; then by the filter. Pillow's own advice for the best quality."""

_SUPPORT = {"bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}
"""How far the filters reach, in pixels of the result."""
_STRIP_PIXELS = 1 << 18
"""Pixels that are made RGB at once: a copy of the whole picture would double its memory."""

_Box: TypeAlias = tuple[float, float, float, float]


def to_pixels(image: ImageLike, height: int, width: int, resample: str = RESAMPLE) -> Pixels:
    """Returns the image as uint8 (height, width, 3), RGB, C-contiguous.

    It is turned as its EXIF orientation says, transparency lies over black, and grey of 9 to 16
    bits is scaled by the range that its file declares.

    Args:
        image: a path, the bytes of an encoded file, a PIL image, or a uint8 array (h, w, 3).
        height, width: the model's input, in pixels. A picture of another shape is cropped about
            its centre to the model's aspect ratio, then resized.
        resample: a key of `RESAMPLING`.

    Raises:
        ImageError: the image cannot be read, is beyond the limits of `tinysight.pictures`, holds
            values without a declared range, or the array is not uint8 (h, w, 3).
    """
    if isinstance(image, np.ndarray):
        check_array(image)
        if image.shape[0] == height and image.shape[1] == width:
            return np.ascontiguousarray(image)
    name = "an image"
    try:
        if isinstance(image, np.ndarray):
            name = "an array"
            if image.shape[0] * image.shape[1] > MAX_PIXELS:
                raise ImageError(
                    f"an array of shape {image.shape}: more than {MAX_PIXELS:,} pixels"
                )
            return _fit(Image.fromarray(np.ascontiguousarray(image)), height, width, resample)
        if isinstance(image, Image.Image):
            name = "a PIL image"
            load(image)
            return _upright(image, height, width, resample)
        name = source_name(image)
        decoded = decode(read_source(image), (height * REDUCING_GAP, width * REDUCING_GAP))
        return _upright(decoded, height, width, resample)
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ...
        raise _named(error, name) from error


def check_array(array: NDArray[Any]) -> None:
    """Raises ImageError unless the array is uint8 (height, width, 3) with at least one pixel."""
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ImageError(
            f"an array must be uint8 of shape (height, width, 3), "
            f"not {array.dtype} of shape {array.shape}"
        )


def open_image(source: Source, model_shape: tuple[int, int] | None = None) -> Image.Image:
    """Decodes a file, or the bytes of one; turned upright, in whatever mode it has.

    Args:
        source: a path, or bytes.
        model_shape: height and width of the model that it is for, in pixels: a JPEG is then decoded
            at the fraction of its size at which `to_pixels` decodes it. None decodes all pixels.

    Raises ImageError with the cause.
    """
    name = "an image"
    try:
        name = source_name(source)
        least = model_shape and (model_shape[0] * REDUCING_GAP, model_shape[1] * REDUCING_GAP)
        image = decode(read_source(source), least)
        return turned_upright(image)
    except Exception as error:
        raise _named(error, name) from error


def _named(error: Exception, name: str) -> ImageError:
    """The error as an ImageError that begins with the image's name."""
    if isinstance(error, FileNotFoundError):
        return ImageError(f"{name}: no such file")
    reason: str = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, ImageError) and name == "an image":
        return ImageError(reason)  # it tells itself what it is about
    return ImageError(f"{name}: {reason.splitlines()[0]}")


def _upright(image: Image.Image, height: int, width: int, resample: str) -> Pixels:
    """The pixels of a decoded image, turned last: then only the model's few ones are copied."""
    turn = orientation(image)
    if turn is None:
        return _fit(image, height, width, resample)
    swapped = turn in SWAPPING
    fitted = _fit(image, *((width, height) if swapped else (height, width)), resample)
    return np.array(Image.fromarray(fitted).transpose(turn))


def _fit(image: Image.Image, height: int, width: int, resample: str) -> Pixels:
    """Crops about the centre to the model's aspect ratio, resizes, and makes it RGB."""
    to_rgb = rgb_converter(image)
    if image.size == (width, height):
        return np.array(to_rgb(image), dtype=np.uint8)
    # What PIL.ImageOps.fit crops. That has no reducing gap, and filters every pixel of a photo.
    side = min(image.width / width, image.height / height)
    # Rounding must not lead the box beyond the image: Pillow refuses that.
    left = max(0.0, (image.width - side * width) / 2)
    top = max(0.0, (image.height - side * height) / 2)
    box = (left, top, image.width - left, image.height - top)
    size, filter_ = (width, height), RESAMPLING[resample]
    if image.mode == "RGB" and "transparency" not in image.info:
        return np.array(image.resize(size, filter_, box, REDUCING_GAP), dtype=np.uint8)
    if resample == "nearest":
        return np.array(to_rgb(image.resize(size, filter_, box)), dtype=np.uint8)
    reduced, box = _reduce(image, size, box, _SUPPORT[resample], to_rgb)
    return np.array(reduced.resize(size, filter_, box), dtype=np.uint8)


def _reduce(
    image: Image.Image, size: tuple[int, int], box: _Box, support: float, to_rgb: ToRgb
) -> tuple[Image.Image, _Box]:
    """What `Image.resize` does first with a reducing gap, but made RGB on the way, in strips.

    Returns the reduced image, and the box in its pixels.
    """
    scale_x, scale_y = (box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1]
    factor_x = int(scale_x / REDUCING_GAP) or 1
    factor_y = int(scale_y / REDUCING_GAP) or 1
    # All that the filter will touch, which reaches beyond the box: as Pillow has it where it
    # reduces, since the blocks that become one pixel begin there; else the whole image, but for
    # what lies further away than a box in a long one.
    reach_x, reach_y = (support - 0.5) * scale_x, (support - 0.5) * scale_y
    if factor_x == factor_y == 1:
        reach_x, reach_y = max(box[2] - box[0], support + 1), max(box[3] - box[1], support + 1)
    x0, y0 = max(0, int(box[0] - reach_x)), max(0, int(box[1] - reach_y))
    x1 = min(image.width, math.ceil(box[2] + reach_x))
    y1 = min(image.height, math.ceil(box[3] + reach_y))
    reduced = Image.new("RGB", (-(-(x1 - x0) // factor_x), -(-(y1 - y0) // factor_y)))
    rows = factor_y * max(1, _STRIP_PIXELS // (factor_y * (x1 - x0)))
    for y in range(y0, y1, rows):
        strip = to_rgb(image.crop((x0, y, x1, min(y + rows, y1))))
        reduced.paste(strip.reduce((factor_x, factor_y)), (0, (y - y0) // factor_y))
    return reduced, (
        (box[0] - x0) / factor_x,
        (box[1] - y0) / factor_y,
        (box[2] - x0) / factor_x,
        (box[3] - y0) / factor_y,
    )
