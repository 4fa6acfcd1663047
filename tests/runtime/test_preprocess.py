"""From any source to pixels: the same ones whichever way a picture comes, or an ImageError."""

import contextlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image, ImageOps

from tinysight.errors import ImageError
from tinysight.pictures.colour import rgb_converter
from tinysight.pictures.formats import MAX_PIXELS
from tinysight.preprocess import RESAMPLING, open_image, to_pixels

ORIENTATION = 0x0112


def png(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def fail(source: object, *words: str) -> None:
    """`source` raises ImageError, in one line that has the words."""
    with pytest.raises(ImageError) as error:
        to_pixels(source, 8, 8)  # type: ignore[arg-type]
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (21, 13, 3), dtype=np.uint8)


@pytest.mark.parametrize("resample", RESAMPLING)
def test_every_source_gives_equal_pixels(array: np.ndarray, tmp_path: Path, resample: str) -> None:
    image = Image.fromarray(array)
    path = tmp_path / "image.png"
    path.write_bytes(png(image))
    expected = to_pixels(array, 8, 6, resample)
    assert expected.shape == (8, 6, 3)
    content = path.read_bytes()
    for source in (path, str(path), content, bytearray(content), memoryview(content), image):
        np.testing.assert_array_equal(to_pixels(source, 8, 6, resample), expected)


def test_a_strided_array_gives_the_pixels_of_its_copy(array: np.ndarray) -> None:
    for view in (array[..., ::-1], array[::2, ::3], array.transpose(1, 0, 2)):
        for size in ((8, 8), view.shape[:2]):
            pixels = to_pixels(view, *size)
            np.testing.assert_array_equal(pixels, to_pixels(view.copy(), *size))
            assert pixels.flags.c_contiguous


def test_resizing_crops_about_the_centre() -> None:
    wide = np.zeros((10, 30, 3), dtype=np.uint8)
    wide[:, 10:20] = 255
    assert (to_pixels(wide, 10, 10) == 255).all()
    assert (to_pixels(wide.transpose(1, 0, 2), 10, 10) == 255).all()


def test_shrinking_averages_over_the_source_area() -> None:
    checkers = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pixels = to_pixels(np.repeat(checkers[..., None], 3, axis=2), 8, 8)
    assert abs(pixels.astype(int) - 127).max() <= 4


def test_grey_becomes_three_equal_channels() -> None:
    pixels = to_pixels(Image.new("L", (8, 8), 77), 8, 8)
    assert (pixels == 77).all()


def test_black_and_white_becomes_0_and_255() -> None:
    image = Image.new("1", (8, 8), 0)
    image.putpixel((3, 2), 1)
    pixels = to_pixels(image, 8, 8)
    assert (pixels[2, 3] == 255).all()
    assert pixels.sum() == 3 * 255


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (200, 100, 50, 0), (0, 0, 0)),
        ("RGBA", (200, 100, 50, 255), (200, 100, 50)),
        ("RGBA", (200, 100, 50, 128), (100, 50, 25)),
        ("LA", (200, 0), (0, 0, 0)),
        ("LA", (200, 255), (200, 200, 200)),
    ],
)
def test_transparency_lies_over_black(
    mode: str, colour: tuple[int, ...], expected: tuple[int, int, int]
) -> None:
    pixels = to_pixels(png(Image.new(mode, (8, 8), colour)), 8, 8)
    assert abs(pixels.astype(int) - expected).max() <= 1


def test_a_palette_gives_its_colours_and_its_transparency() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([9, 9, 9, 10, 20, 30])
    image.putpixel((0, 0), 0)
    pixels = to_pixels(png(image), 8, 8)
    assert pixels[0, 0].tolist() == [9, 9, 9]
    assert pixels[1, 1].tolist() == [10, 20, 30]
    pixels = to_pixels(png(image, transparency=1), 8, 8)
    assert pixels[0, 0].tolist() == [9, 9, 9]
    assert pixels[1, 1].tolist() == [0, 0, 0]


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    grey = np.full((8, 8), 0x4080, dtype=np.uint16)
    image = Image.fromarray(grey)
    assert image.mode == "I;16"
    assert (to_pixels(image, 8, 8) == 0x40).all()
    assert (to_pixels(png(image), 8, 8) == 0x40).all()


def test_cmyk_is_converted() -> None:
    stream = io.BytesIO()
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(stream, "JPEG", quality=95)
    red, green, blue = to_pixels(stream.getvalue(), 8, 8)[4, 4].tolist()
    assert red > 240
    assert green < 15
    assert blue < 15


@given(npst.arrays(np.uint8, (6, 5, 3)))
def test_rgb_is_left_alone(array: np.ndarray) -> None:
    image = Image.fromarray(array)
    assert rgb_converter(image)(image) is image


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    """A camera held sideways stores the pixels turned, and says so."""
    upright = np.zeros((8, 8, 3), dtype=np.uint8)
    upright[:4, :4] = (255, 0, 0)
    upright[:4, 4:] = (0, 255, 0)
    upright[4:, :4] = (0, 0, 255)
    # What a camera would have stored, for each value of the EXIF standard.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / "turned.png"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    np.testing.assert_array_equal(to_pixels(path, 8, 8), upright)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((8, 8, 3), dtype=np.float32),
        np.zeros((8, 8, 3), dtype=np.int8),
        np.zeros((8, 8), dtype=np.uint8),
        np.zeros((8, 8, 1), dtype=np.uint8),
        np.zeros((8, 8, 4), dtype=np.uint8),
        np.zeros((1, 8, 8, 3), dtype=np.uint8),
        np.zeros((0, 8, 3), dtype=np.uint8),
        np.zeros((8, 0, 3), dtype=np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{list(array.shape)}",
)
def test_an_array_of_another_type_or_shape_is_named(array: np.ndarray) -> None:
    fail(array, "uint8", str(array.dtype), str(array.shape))


@pytest.mark.parametrize("source", [None, 3, 2.5, [1, 2], {"a": 1}], ids=repr)
def test_what_is_no_image_at_all_is_named(source: object) -> None:
    fail(source, type(source).__name__)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    fail(tmp_path / "absent.png", "absent.png", "no such file")
    fail(tmp_path, str(tmp_path))
    fail("a\0b.png")


def test_a_truncated_jpeg_is_refused_not_half_read(array: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    Image.fromarray(array).resize((200, 200)).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    fail(path, "cut.jpg", "truncated")
    fail(path.read_bytes(), "truncated")


def test_a_truncated_picture_that_pillow_opened_lazily_is_an_image_error(
    array: np.ndarray, tmp_path: Path
) -> None:
    """Image.open reads only the header; the damage shows when we ask for pixels."""
    path = tmp_path / "cut.png"
    path.write_bytes(png(Image.fromarray(array))[:200])
    with Image.open(path) as image:
        fail(image)


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_a_pillow_image_without_pixels_is_refused(size: tuple[int, int]) -> None:
    fail(Image.new("RGB", size))


@given(st.binary(max_size=300))
def test_bytes_that_are_no_image_are_refused(content: bytes) -> None:
    fail(content)


def test_empty_bytes_are_refused() -> None:
    fail(b"", "0 bytes", "not an image")


@given(st.data())
def test_a_damaged_png_is_read_or_refused(data: st.DataObject) -> None:
    """Whatever Pillow's decoders raise, it reaches the caller as an ImageError."""
    content = bytearray(png(Image.new("RGB", (9, 9), (1, 2, 3))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(8, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):
        assert to_pixels(bytes(content), 8, 8).shape == (8, 8, 3)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_001, 100_000])
def test_a_small_file_that_claims_a_huge_picture_is_refused_undecoded(side: int) -> None:
    assert side * side > MAX_PIXELS

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    # The pixels are rubbish: had they been decoded, the message would say so.
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"rubbish")
    fail(content, f"more than {MAX_PIXELS:,}")


sizes = st.integers(1, 24)


@given(h=st.integers(1, 40), w=st.integers(1, 40), height=sizes, width=sizes, data=st.data())
def test_any_array_gets_the_models_shape_once(
    h: int, w: int, height: int, width: int, data: st.DataObject
) -> None:
    resample = data.draw(st.sampled_from(sorted(RESAMPLING)))
    array = data.draw(npst.arrays(np.uint8, (h, w, 3), elements=st.integers(0, 255)))
    before = array.copy()
    pixels = to_pixels(array, height, width, resample)
    assert pixels.shape == (height, width, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert array.min() <= pixels.min() or resample in ("bicubic", "lanczos")  # these overshoot
    np.testing.assert_array_equal(to_pixels(pixels, height, width, resample), pixels)
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1)])
def test_a_line_of_pixels_is_enough(shape: tuple[int, int]) -> None:
    assert (
        to_pixels(np.full((*shape, 3), 9, dtype=np.uint8), 32, 32).tolist() == [[[9] * 3] * 32] * 32
    )


def test_opening_decodes_completely(tmp_path: Path) -> None:
    """The file can be deleted, or its handle closed, before the pixels are asked for."""
    path = tmp_path / "image.png"
    Image.new("RGB", (8, 8), (1, 2, 3)).save(path)
    image = open_image(path)
    path.unlink()
    assert image.getpixel((0, 0)) == (1, 2, 3)


@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    model=st.tuples(st.integers(1, 64), st.integers(1, 64)),
)
def test_the_crop_is_that_of_pillow_and_never_beyond_the_image(
    size: tuple[int, int], model: tuple[int, int]
) -> None:
    """At less than the reducing gap the very pixels of ImageOps.fit; above, any size is taken."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
    pixels = to_pixels(image, *model, "bicubic")
    assert pixels.shape == (*model, 3)
    if all(large < 3 * small for large, small in zip(size, model, strict=True)):
        fitted = ImageOps.fit(image, (model[1], model[0]), method=Image.Resampling.BICUBIC)
        assert np.abs(pixels.astype(int) - np.asarray(fitted)).max() <= 1  # rounded box corners
