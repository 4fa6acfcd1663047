"""Binary PBM, PGM and PPM: a few lines here, as Pillow reads all but 8-bit ones pixel by pixel.

Sources: the netpbm project's pbm(5), pgm(5) and ppm(5).
"""

import re

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tinysight.errors import ImageError
from tinysight.pictures.formats import check_pixels

_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_NUMBER = _GAP + rb"(\d{1,9})"
_HEADER = re.compile(rb"P[456]" + _NUMBER + _NUMBER)
_MAXIMUM = re.compile(_NUMBER)
_STRIP = 1 << 18
"""Values that are scaled at once."""


def decode(content: bytes) -> Image.Image:
    """The picture as mode L or RGB, every value scaled by the maximum that its header declares.

    Raises ImageError for a header that is none, missing pixels, and values above the maximum.
    """
    header = _HEADER.match(content, 0, 4096)
    if header is None:
        raise ImageError("damaged: no sizes in its header")
    width, height, at, maximum = int(header[1]), int(header[2]), header.end(), 1
    check_pixels(width * height)
    if content[1:2] != b"4":
        declared = _MAXIMUM.match(content, at, at + 4096)
        if declared is None or not 0 < int(declared[1]) <= 0xFFFF:
            raise ImageError("damaged: no maximum in its header, or none of 1 to 65535")
        maximum, at = int(declared[1]), declared.end()
    body = memoryview(content)[at + 1 :]  # one white space is between
    channels = 3 if content[1:2] == b"6" else 1
    shape = (height, width, channels) if channels == 3 else (height, width)
    if content[1:2] == b"4":
        return Image.fromarray(_bits(body, width, height))
    return Image.fromarray(_scaled(body, maximum, width * height * channels).reshape(shape))


def _bits(body: memoryview, width: int, height: int) -> NDArray[np.uint8]:
    """A bit a pixel, 1 for black; rows begin at bytes."""
    row = (width + 7) // 8
    _check_length(body, row * height)
    packed = np.frombuffer(body, np.uint8, row * height).reshape(height, row)
    bits: NDArray[np.uint8] = np.unpackbits(packed, axis=1, count=width)
    bits -= 1  # 1 becomes 0, and 0 the largest byte
    return bits


def _scaled(body: memoryview, maximum: int, count: int) -> NDArray[np.uint8]:
    kind = np.dtype(np.uint8 if maximum < 256 else ">u2")
    _check_length(body, count * kind.itemsize)
    values = np.frombuffer(body, kind, count)
    if maximum == 255:
        return values.view(np.uint8)
    scale = byte_scale(maximum)
    scaled = np.empty(count, np.uint8)
    for start in range(0, count, _STRIP):
        part = values[start : start + _STRIP]
        if int(part.max()) > maximum:
            raise ImageError(f"values beyond the declared range of 0 to {maximum}")
        scaled[start : start + _STRIP] = scale[part]
    return scaled


def byte_scale(maximum: int) -> NDArray[np.uint8]:
    """uint8 (maximum + 1,): the byte for each value of 0 to `maximum`, which is 255.

    From 8 bits on as many values to each byte, which for 16 bits is the high byte; below, the
    nearest byte.
    """
    values = np.arange(maximum + 1, dtype=np.uint64)
    if maximum >= 255:
        return (values * 256 // (maximum + 1)).astype(np.uint8)
    return ((values * 255 + maximum // 2) // maximum).astype(np.uint8)


def _check_length(body: memoryview, expected: int) -> None:
    if len(body) < expected:
        raise ImageError(f"truncated: {len(body):,} of {expected:,} bytes of pixels")
