"""Every mode becomes RGB by the range that is declared, or is refused with the reason."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from tinysight import ImageError
from tinysight.pictures.pnm import byte_scale
from tinysight.preprocess import RESAMPLING, to_pixels

MODES = ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "PA", "RGBX",
         "RGBa", "La", "I;16", "I;16L", "I;16B", "I;16N")  # fmt: skip


def tiff(array: np.ndarray, **tags: int) -> bytes:
    known = {"highest": 281, "photometric": 262}
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        directory[known[name]] = value
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "TIFF", tiffinfo=directory)
    return stream.getvalue()


def raw_tiff(bits: int, data: bytes, photometric: int) -> bytes:
    """An uncompressed 8 x 8 TIFF of one channel, which Pillow would not write."""
    entries = [(256, 8), (257, 8), (258, bits), (259, 1), (262, photometric), (277, 1), (278, 8)]
    at = 8 + 2 + 12 * (len(entries) + 2) + 4
    fields = {tag: struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in entries}
    fields[273] = struct.pack("<HHII", 273, 4, 1, at)
    fields[279] = struct.pack("<HHII", 279, 4, 1, len(data))
    body = b"".join(fields[tag] for tag in sorted(fields))
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + body + bytes(4) + data


def png16(value: int, channels: int = 1, transparent: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    colour = {1: 0, 3: 2}[channels]
    row = b"\0" + struct.pack(">H", value) * 8 * channels
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, colour, 0, 0, 0))
        + (chunk(b"tRNS", transparent) if transparent else b"")
        + chunk(b"IDAT", zlib.compress(row * 8))
        + chunk(b"IEND", b"")
    )


def pnm(magic: str, maximum: int, value: int) -> bytes:
    channels = 3 if magic == "P6" else 1
    kind = np.dtype(np.uint8 if maximum < 256 else ">u2")
    body = np.full(64 * channels, value, kind).tobytes()
    return f"{magic} # a comment\n8\t8\n{maximum}\n".encode() + body


def grey(value: int, kind: Any = np.uint16) -> np.ndarray:
    return np.full((8, 8), value, kind)


PACKED_12_BITS = bytes([0x80, 0x08, 0x00]) * 32  # 0x800, twice in three bytes


@pytest.mark.parametrize(
    ("content", "byte"),
    [
        (png16(0x8080), 0x80),
        (png16(0x8080, channels=3), 0x80),
        (png16(0x8080, transparent=b"\x80\x80"), 0),
        (png16(0), 0),
        (tiff(grey(0x8080)), 0x80),
        (tiff(grey(512), highest=1023), 0x80),
        (tiff(grey(2048), highest=4095), 0x80),
        (tiff(grey(0x8080), highest=50_000), 0x80),  # a statistic, not a depth
        (raw_tiff(12, PACKED_12_BITS, 1), 0x80),
        (raw_tiff(16, grey(0xFFFF).tobytes(), 0), 0),  # white is zero
        (raw_tiff(8, bytes(64), 0), 255),
        (pnm("P5", 1023, 512), 0x80),
        (pnm("P5", 4095, 2048), 0x80),
        (pnm("P5", 65535, 0x8080), 0x80),
        (pnm("P5", 255, 77), 77),
        (pnm("P5", 7, 7), 255),
        (pnm("P6", 1023, 512), 0x80),
        (pnm("P6", 255, 77), 77),
        (b"P4\n8 8\n" + bytes(8), 255),
        (b"P4\n8 8\n" + b"\xff" * 8, 0),
    ],
)
def test_values_are_scaled_by_what_the_file_declares(content: bytes, byte: int) -> None:
    assert (to_pixels(content, 8, 8) == byte).all()


def test_an_image_that_pillow_opened_has_the_pixels_of_its_file() -> None:
    for content in (pnm("P5", 1023, 512), png16(0x8080), tiff(grey(512), highest=1023)):
        with Image.open(io.BytesIO(content)) as image:
            assert (to_pixels(image, 8, 8) == 0x80).all()


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I;16N"])
def test_sixteen_bits_in_any_order_of_bytes(mode: str) -> None:
    values = grey(0x4080, ">u2" if mode == "I;16B" else "<u2")
    assert (to_pixels(Image.frombytes(mode, (8, 8), values.tobytes()), 8, 8) == 0x40).all()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Image.fromarray(grey(500, np.int32)), "integers"),
        (tiff(grey(500, np.int32)), "integers"),
        (Image.fromarray(grey(1, np.float32)), "floating-point"),
        (Image.fromarray(np.full((8, 8), np.nan, np.float32)), "floating-point"),
        (tiff(grey(1, np.float32)), "floating-point"),
        (b"Pf\n8 8\n-1.0\n" + grey(1, np.float32).tobytes(), "not an image that tinysight reads"),
        (tiff(grey(5000), highest=4095), "beyond the declared range"),
        (pnm("P5", 1023, 1024), "beyond the declared range"),
        (tiff(grey(1023)), "at most 1023 in 16 bits"),  # of 10 bits, and nothing says so
        (png16(4095), "at most 4095 in 16 bits"),
        (png16(1023, channels=3), "in 16 bits"),
        (Image.fromarray(grey(1023)), "at most 1023 in 16 bits"),
        (png16(0x8080, 3, transparent=b"\x80\x80" * 3), "transparent colour of 16 bits"),
        (Image.new("LAB", (8, 8)), "LAB"),
    ],
)
def test_values_without_a_range_are_refused_with_the_reason(source: Any, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        to_pixels(source, 8, 8)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(8, 8), (50, 30), (400, 300)])
def test_every_mode_is_answered_or_refused(mode: str, size: tuple[int, int]) -> None:
    for resample in RESAMPLING:
        try:
            pixels = to_pixels(Image.new(mode, size), 8, 8, resample)
        except ImageError:
            assert mode in ("LAB", "I", "F")
        else:
            assert pixels.shape == (8, 8, 3)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "RGBX"])
@pytest.mark.parametrize("size", [(64, 48), (500, 400), (1500, 1100), (90, 3000)])
def test_a_mode_that_is_made_rgb_in_strips_has_the_pixels_of_its_rgb_image(
    mode: str, size: tuple[int, int]
) -> None:
    """Opaque ones: what lies over black is as it is."""
    draw = np.random.default_rng(0)
    shapes = Image.fromarray(draw.integers(0, 256, (9, 7, 3), dtype=np.uint8))
    image = shapes.resize(size, Image.Resampling.BICUBIC).convert(mode)
    for resample in RESAMPLING:
        difference = to_pixels(image, 32, 24, resample).astype(int) - to_pixels(
            image.convert("RGB"), 32, 24, resample
        )
        # Pillow chooses the order of its two passes by the size, and rounds between them.
        assert np.abs(difference).max() <= (2 if size == (90, 3000) else 0)


@pytest.mark.parametrize("maximum", [1, 3, 7, 100, 254, 255, 1023, 4095, 65535])
def test_bytes_grow_evenly_from_0_to_255(maximum: int) -> None:
    scale = byte_scale(maximum)
    assert (len(scale), scale[0], scale[-1]) == (maximum + 1, 0, 255)
    exact = np.arange(maximum + 1) * (255 / maximum)
    assert np.abs(scale - exact).max() <= (0.5 if maximum < 255 else 1.0) + 1e-9
    if maximum > 255:
        assert (np.bincount(scale) == (maximum + 1) // 256).all()


@pytest.mark.parametrize(
    "content",
    [b"P5", b"P5 8", b"P5 8 8", b"P5 8 8 0\n", b"P5 8 8 65536\n", b"P5 8 8 255\n" + bytes(63),
     b"P6 8 8 255\n" + bytes(191), b"P4 9 8\n" + bytes(15), b"P5 99999999 99999999 255\n", b"P6\n#",
     b"P4 0 8\n", b"P5 -8 8 255\n"],
)  # fmt: skip
def test_a_damaged_pnm_is_refused(content: bytes) -> None:
    with pytest.raises(ImageError):
        to_pixels(content, 8, 8)
