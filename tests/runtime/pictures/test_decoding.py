"""Decoding: the stated formats alone, within the stated memory, whatever was read before."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tinysight import ImageError
from tinysight.benchmark import sample_photo
from tinysight.pictures import formats
from tinysight.pictures.decoding import decode
from tinysight.pictures.formats import ENDINGS, FORMATS, MAX_PIXELS
from tinysight.pictures.jpeg import read_header
from tinysight.preprocess import REDUCING_GAP, open_image, to_pixels

ORIENTATION = 0x0112
BOUND_MB = 256


def encoded(image: Image.Image, name: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, name, **options)
    return stream.getvalue()


def shapes(width: int, height: int) -> Image.Image:
    draw = np.random.default_rng(0)
    few = Image.fromarray(draw.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    return few.resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("name", FORMATS)
def test_every_stated_format_is_read(name: str) -> None:
    image = Image.new("RGB", (20, 12), (200, 10, 10))
    pixels = to_pixels(encoded(image, name), 8, 8).astype(int)
    assert np.abs(pixels - (200, 10, 10)).max() <= 3


def test_other_formats_are_refused_whatever_was_read_before() -> None:
    """Pillow imports its plugins late: an ICO used to be read after a TGA only, or not at all."""
    image = Image.new("RGB", (32, 32))
    for name in ("TGA", "ICO", "JPEG2000", "DDS", "PCX", "SGI"):
        content = encoded(image, name)
        for _ in range(2):
            with pytest.raises(ImageError, match="not an image that tinysight reads \\(JPEG, PNG"):
                to_pixels(content, 8, 8)
            Image.init()
        if name == "ICO":
            continue  # Image.open decodes it, whatever it claims: only its file is ours to refuse
        with Image.open(io.BytesIO(content)) as lazy:
            with pytest.raises(ImageError, match="load"):
                to_pixels(lazy, 8, 8)
            lazy.load()
            assert to_pixels(lazy, 8, 8).shape == (8, 8, 3)


def test_a_folder_stands_for_the_endings_of_the_stated_formats() -> None:
    known = Image.registered_extensions()
    others = {".mpo": "MPO"}  # several JPEGs in one, of which the first is read
    assert {known[ending] for ending in ENDINGS - set(others)} == set(FORMATS)


PEAK = """
import io, sys
from pathlib import Path
from PIL import Image
from tinysight.pictures.formats import FORMATS
from tinysight.preprocess import to_pixels
def status(key):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1])
for name in FORMATS:
    stream = io.BytesIO()
    Image.new("RGB", (9, 9)).save(stream, name)
    to_pixels(stream.getvalue(), 32, 32)
Path("/proc/self/clear_refs").write_text("5")
start = status("VmRSS")
for path in sys.argv[1:]:
    to_pixels(path, 32, 32)
print((status("VmHWM") - start) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of a process")
def test_the_largest_pictures_stay_within_the_memory_that_is_promised(tmp_path: Path) -> None:
    """In a process of its own. Flat ones, of few bytes, in the formats that take most."""
    twelve = Image.new("RGBA", (4000, 3000), (200, 100, 50, 128))
    twelve.save(tmp_path / "12.webp", lossless=True, method=0, quality=0)
    sixteen = twelve.resize((4000, 4000))
    sixteen.save(tmp_path / "16.png", compress_level=1)
    sixteen.convert("CMYK").save(tmp_path / "12.jpg", progressive=True, subsampling=0)
    sixteen.save(tmp_path / "16.tif", compression="tiff_lzw", strip_size=1 << 30)
    files = [str(path) for path in tmp_path.iterdir()]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *files], capture_output=True, text=True, check=True
    )
    assert 40 < int(done.stdout) <= BOUND_MB


def test_a_small_file_that_claims_too_much_is_refused_by_its_size_or_its_memory() -> None:
    tiny = encoded(Image.new("RGB", (1, 1)), "WEBP", lossless=True)
    at = tiny.index(b"VP8L") + 9
    side = 9999 - 1
    claims = tiny[:at] + struct.pack("<I", side | side << 14) + tiny[at + 4 :]
    with pytest.raises(ImageError, match="99,980,001 pixels to decode, more than 16,000,000"):
        to_pixels(claims, 8, 8)
    side = 3999
    claims = tiny[:at] + struct.pack("<I", side | side << 14) + tiny[at + 4 :]
    with pytest.raises(ImageError, match="decoding it could take 280 MB, more than 240 MB"):
        to_pixels(claims, 8, 8)


@pytest.mark.parametrize("size", [(5000, 3201), (1, MAX_PIXELS + 1)])
def test_a_pil_image_and_an_array_have_the_same_limit(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match="more than 16,000,000"):
        to_pixels(Image.new("L", size), 8, 8)
    with pytest.raises(ImageError, match="more than 16,000,000"):
        to_pixels(np.broadcast_to(np.uint8(7), (*size, 3)), 8, 8)


def test_a_file_in_too_many_pieces_is_refused() -> None:
    """Chunks of nothing: Pillow walks over each in Python."""
    content = encoded(Image.new("RGB", (9, 9)), "PNG")
    chunk = struct.pack(">I", 0) + b"noTh" + struct.pack(">I", zlib.crc32(b"noTh"))
    assert to_pixels(content[:33] + chunk * 100 + content[33:], 8, 8).shape == (8, 8, 3)
    with pytest.raises(ImageError, match="pieces"):
        to_pixels(content[:33] + chunk * 200_000 + content[33:], 8, 8)


def test_texts_that_unpack_to_megabytes_count_as_memory() -> None:
    content = encoded(Image.new("RGB", (9, 9)), "PNG")
    body = b"key\0\1\0\0\0" + zlib.compress("\U0001f600".encode() + bytes(900_000))
    check = struct.pack(">I", zlib.crc32(b"iTXt" + body))
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + check
    assert to_pixels(content[:33] + chunk * 3 + content[33:], 8, 8).shape == (8, 8, 3)
    with pytest.raises(ImageError, match=r"could take \d+ MB"):
        to_pixels(content[:33] + chunk * 63 + content[33:], 8, 8)


# JPEGs at a fraction of their size.


def test_a_large_jpeg_is_decoded_at_the_fraction_that_leaves_three_times_the_models_size() -> None:
    content = encoded(shapes(1600, 1200), "JPEG")
    for side, height in ((32, 150), (48, 150), (60, 300), (100, 300), (150, 600), (201, 1200)):
        assert open_image(content, (side, side)).height == height
        assert height >= REDUCING_GAP * side or height == 1200
    assert open_image(content).size == (1600, 1200)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
@pytest.mark.parametrize("side", [32, 64, 224])
def test_its_pixels_are_those_of_the_array_but_for_about_one_level(
    options: dict[str, Any], side: int
) -> None:
    """The promise of docs/pictures.md, on a generated photo with grain."""
    photo = sample_photo.jpeg()
    with Image.open(io.BytesIO(photo)) as image:
        content = encoded(image, "JPEG", quality=90, **options)
    whole = to_pixels(np.asarray(open_image(content)), side, side).astype(int)
    difference = np.abs(to_pixels(content, side, side) - whole)
    assert difference.mean() <= 1.0
    assert difference.max() <= 8


def test_a_small_jpeg_has_exactly_the_pixels_of_its_array() -> None:
    content = encoded(shapes(190, 150), "JPEG")
    whole = to_pixels(np.asarray(open_image(content)), 32, 32)
    np.testing.assert_array_equal(to_pixels(content, 32, 32), whole)


def test_its_header_tells_whether_one_scan_is_all() -> None:
    image = shapes(90, 60)
    thumbnail = encoded(image.resize((20, 20)), "JPEG", progressive=True)
    baseline = encoded(image, "JPEG")
    # A comment, and an application's segment with another picture in it, are stepped over.
    segment = b"\xff\xe5" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    within = baseline[:2] + segment + baseline[2:]
    padded = baseline[:2] + b"\xff\xff\xff" + baseline[3:]
    for content in (baseline, within, padded):
        assert read_header(content).one_scan
        assert read_header(content).components == 3
    assert not read_header(encoded(image, "JPEG", progressive=True)).one_scan
    assert read_header(encoded(image.convert("L"), "JPEG")).components == 1
    for end in range(2, 200, 7):
        with pytest.raises(ImageError):
            read_header(baseline[:end])


def test_progressive_jpegs_have_the_limits_of_what_is_decoded_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """libjpeg holds all coefficients of theirs, and passes over them once a scan."""
    image = shapes(90, 60)
    for progressive, limit in ((False, "100,000,000"), (True, "16,000,000")):
        content = encoded(image, "JPEG", progressive=progressive)
        claims = content.replace(struct.pack(">HH", 60, 90), struct.pack(">HH", 11_000, 11_000))
        with pytest.raises(ImageError, match=f"more than {limit}"):
            to_pixels(claims, 8, 8)
    monkeypatch.setattr(formats, "MAX_SCANS", 3)
    with pytest.raises(ImageError, match="more than 3 scans"):
        to_pixels(encoded(image, "JPEG", progressive=True), 8, 8)


# EXIF orientation.


def turned(orientation: int, size: tuple[int, int], name: str) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(shapes(*size), name, exif=exif)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_alike_to_files_bytes_and_pil_images(
    orientation: int, name: str, tmp_path: Path
) -> None:
    content = turned(orientation, (60, 41), name)
    path = tmp_path / "picture"
    path.write_bytes(content)
    expected = to_pixels(content, 8, 8)
    np.testing.assert_array_equal(to_pixels(path, 8, 8), expected)
    upright = open_image(content)
    np.testing.assert_array_equal(to_pixels(upright, 8, 8), to_pixels(np.asarray(upright), 8, 8))
    with Image.open(io.BytesIO(content)) as image:
        for _ in range(2):
            np.testing.assert_array_equal(to_pixels(image, 8, 8), expected)
    if orientation > 1:
        assert np.abs(expected.astype(int) - to_pixels(turned(1, (60, 41), name), 8, 8)).max() > 20


@pytest.mark.parametrize("size", [(60, 41), (500, 411)])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_picture_has_the_pixels_of_the_upright_one(
    orientation: int, size: tuple[int, int]
) -> None:
    """Turned after resizing, which rounds elsewhere: within a level or two."""
    content = turned(orientation, size, "PNG")
    upright = to_pixels(np.asarray(open_image(content)), 30, 20).astype(int)
    assert np.abs(to_pixels(content, 30, 20) - upright).max() <= 3


@pytest.mark.filterwarnings("ignore:Corrupt EXIF", "ignore:Truncated File")
def test_junk_in_place_of_exif_leaves_a_picture_as_it_is() -> None:
    image = shapes(40, 30)
    good = Image.Exif()
    good[ORIENTATION] = 6
    good[0x010F] = "a maker"
    raw = good.tobytes()
    expected = to_pixels(encoded(image, "PNG"), 8, 8)
    for junk in (b"", b"junk", bytes(50), b"II*\0\xff\xff\xff\xff"):
        content = encoded(image, "PNG", exif=b"Exif\0\0" + junk)
        np.testing.assert_array_equal(to_pixels(content, 8, 8), expected)
    for cut in range(6, len(raw)):
        content = encoded(image, "PNG", exif=raw[:cut])
        first = to_pixels(content, 8, 8)
        with Image.open(io.BytesIO(content)) as lazy:
            for _ in range(3):
                np.testing.assert_array_equal(to_pixels(lazy, 8, 8), first)


def test_decoding_leaves_a_pil_image_as_it_was() -> None:
    content = turned(6, (1600, 1200), "JPEG")
    with Image.open(io.BytesIO(content)) as image:
        to_pixels(image, 8, 8)
        assert image.size == (1600, 1200)
        assert image.getexif()[ORIENTATION] == 6


def test_a_decoder_needs_no_name_of_its_own() -> None:
    with pytest.raises(ValueError, match="holds the picture"):
        formats.ImageFormat("X", "X.X", (".x",), 1.0, 1.0)
    assert decode(encoded(shapes(9, 9), "PNG")).size == (9, 9)
