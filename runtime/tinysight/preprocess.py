"""From whatever holds a picture to the uint8 pixels that a model takes. Pure functions.

The training stage reads its folders through this module too: a model then sees on the device
exactly what it saw when it was trained.
"""

import io
import os
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from tinysight.errors import ImageError

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

MAX_PIXELS = 100_000_000
"""Larger pictures are refused before they are decoded: a small file may claim any size."""


def to_pixels(image: ImageLike, height: int, width: int, resample: str = RESAMPLE) -> Pixels:
    """Returns the image as uint8 (height, width, 3), RGB, C-contiguous.

    Args:
        image: a path, the bytes of an encoded file, a PIL image, or a uint8 array (h, w, 3).
        height, width: the model's input, in pixels. A picture of another shape is cropped about
            its centre to the model's aspect ratio, then resized.
        resample: a key of `RESAMPLING`.

    Raises:
        ImageError: the image cannot be read, or the array is not uint8 (h, w, 3).
    """
    if isinstance(image, np.ndarray):
        check_array(image)
        if image.shape[0] == height and image.shape[1] == width:
            return np.ascontiguousarray(image)
        image = Image.fromarray(np.ascontiguousarray(image))
    elif isinstance(image, Image.Image):
        _load(image)
    else:
        image = open_image(image)
    return _fit(to_rgb(image), height, width, resample)


def check_array(array: NDArray[Any]) -> None:
    """Raises ImageError unless the array is uint8 (height, width, 3) with at least one pixel."""
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ImageError(
            f"an array must be uint8 of shape (height, width, 3), "
            f"not {array.dtype} of shape {array.shape}"
        )


def open_image(source: "str | os.PathLike[str] | bytes | bytearray | memoryview") -> Image.Image:
    """Decodes a file, or the bytes of one, completely. Raises ImageError with the cause."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        name, stream = f"{len(source)} bytes", io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        name, stream = os.fspath(source), None
    else:
        raise ImageError(
            f"an image is a path, bytes, a PIL image or an array, not {type(source).__name__}"
        )
    try:
        with Image.open(stream or name) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ImageError(
                    f"{name}: {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}"
                )
            image.load()
            return upright(image)
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such file") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: not an image that Pillow can read") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: more than {MAX_PIXELS:,} pixels") from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ...
        raise ImageError(f"{name}: {_reason(error)}") from error


def upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says."""
    if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
        return image
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """Returns the image as RGB: transparency over black, 16-bit grey scaled down to 8 bits."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16"):  # Pillow's own conversion clips all above 255 to white
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba).convert(
            "RGB"
        )
    return image.convert("RGB")


def _load(image: Image.Image) -> None:
    """Decodes what `Image.open` only looked at: any damage shows here, as an ImageError."""
    if 0 in image.size:
        raise ImageError(f"an image of {image.width} x {image.height} has no pixels")
    try:
        image.load()
    except Exception as error:
        raise ImageError(f"a PIL image: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    reason: str = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return reason.splitlines()[0]


def _fit(image: Image.Image, height: int, width: int, resample: str) -> Pixels:
    if image.size != (width, height):
        # What PIL.ImageOps.fit crops. That has no reducing gap, and filters every pixel of a photo.
        side = min(image.width / width, image.height / height)
        # Rounding must not lead the box beyond the image: Pillow refuses that.
        left = max(0.0, (image.width - side * width) / 2)
        top = max(0.0, (image.height - side * height) / 2)
        box = (left, top, image.width - left, image.height - top)
        image = image.resize((width, height), RESAMPLING[resample], box, REDUCING_GAP)
    return np.array(image, dtype=np.uint8)
