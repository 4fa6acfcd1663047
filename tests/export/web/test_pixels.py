"""The pixels that the page gives to a model are those of a device, and so are its answers."""

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.studies.browser import StaticServer
from tinysight import Classifier
from tinysight.preprocess import RESAMPLING, to_pixels

skimage_data = pytest.importorskip("skimage.data")

PHOTOS = ("astronaut", "coffee", "chelsea", "rocket", "camera", "moon", "coins", "cell")
"""Those that come with scikit-image; the last four are grey."""
ORIENTATION = 0x0112

# What the page does with a file, for many of them; pixels pass as base64, which is quick.
READ = """async ({ files, height, width, resample }) => {
  const { decodePicture } = await import("./pictures.js");
  const { toPixels } = await import("./preprocess.js");
  const all = [];
  for (const file of files) {
    const picture = await decodePicture(await (await fetch(file)).blob());
    all.push(btoa(String.fromCharCode(...toPixels(picture, height, width, resample))));
    picture.close();
  }
  return all;
}"""
ANSWER = """async (all) => {
  const { fetchJson, loadClassifier } = await import("./engine.js");
  const classifier = await loadClassifier(await fetchJson("site.json"), () => {});
  const answers = [];
  for (const text of all) {
    const pixels = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    answers.push(classifier.probabilities(await classifier.logits(pixels)));
  }
  return answers;
}"""


def parts_of_photos(count: int) -> Iterator[NDArray[np.uint8]]:
    """Crops of real photos, of any shape from 24 to 400 pixels."""
    draw = np.random.default_rng(3)
    for index in range(count):
        photo = np.asarray(getattr(skimage_data, PHOTOS[index % len(PHOTOS)])())
        limits = np.minimum(photo.shape[:2], 400)
        height, width = (24 + (limits - 24) * draw.random(2)).astype(int)
        top, left = (draw.random(2) * (limits - (height, width))).astype(int)
        yield np.ascontiguousarray(photo[top : top + height, left : left + width])


def encoded(image: NDArray[np.uint8], index: int) -> bytes:
    """As cameras, programs and the web store pictures: by turns in each of these ways."""
    picture, stream = Image.fromarray(image), io.BytesIO()
    kind = index % 10
    if kind in (0, 1, 2):
        picture.save(stream, "JPEG", quality=(75, 90, 96)[kind])
    elif kind == 3:
        picture.save(stream, "JPEG", quality=85, progressive=True, subsampling="4:4:4")
    elif kind in (4, 5):  # as a phone held in any way
        exif = Image.Exif()
        exif[ORIENTATION] = 1 + index // 10 % 8
        picture.save(stream, "JPEG", quality=92, exif=exif)
    elif kind == 6:
        picture.convert("P", palette=Image.Palette.ADAPTIVE).save(stream, "PNG")
    elif kind == 7:
        picture.convert("RGB").save(stream, "WEBP", quality=85)
    elif kind == 8:
        alpha = np.indices(image.shape[:2]).sum(axis=0) % 256  # transparent in a slope
        rgba = picture.convert("RGBA")
        rgba.putalpha(Image.fromarray(alpha.astype(np.uint8)))
        rgba.save(stream, "PNG")
    else:
        picture.save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def photos(site_of: Callable[[str], Path]) -> list[Path]:
    """100 pictures, beside the page of edge_s; two are larger than what is read at once."""
    folder = site_of("edge_s") / "photos"
    folder.mkdir()
    images = list(parts_of_photos(100))
    for index in (0, 8):  # a JPEG and a transparent PNG
        images[index] = np.asarray(Image.fromarray(images[index]).resize((1500, 1600)))
    for index, image in enumerate(images):
        (folder / f"{index}").write_bytes(encoded(image, index))
    return [folder / f"{index}" for index in range(len(images))]


@pytest.fixture(scope="module")
def page(
    photos: list[Path],
    site_of: Callable[[str], Path],
    serve: Callable[[Path], StaticServer],
    browser: Any,
) -> Iterator[Any]:
    """A tab that may import the page's modules."""
    context = browser.new_context(bypass_csp=True)
    tab = context.new_page()
    tab.goto(f"{serve(site_of('edge_s')).url}site.json")
    yield tab
    context.close()


def read(page: Any, files: list[Path], height: int, width: int, resample: str) -> list[str]:
    names = [f"photos/{file.name}" for file in files]
    question = {"files": names, "height": height, "width": width, "resample": resample}
    answer: list[str] = page.evaluate(READ, question)
    return answer


def decoded_in_full(file: Path) -> Image.Image:
    """As a browser decodes; a device takes a large JPEG at 1/2, 1/4 or 1/8 (docs/pictures.md)."""
    return ImageOps.exif_transpose(Image.open(file))


def largest_difference(answers: list[str], files: list[Path], *how: Any) -> int:
    expected = np.stack([to_pixels(decoded_in_full(file), *how) for file in files]).astype(int)
    pixels = np.frombuffer(b"".join(map(base64.b64decode, answers)), np.uint8)
    return int(np.abs(pixels.reshape(expected.shape) - expected).max())


def test_pixels_and_answers_of_photos_are_those_of_a_device(page: Any, photos: list[Path]) -> None:
    pixels = read(page, photos, 32, 32, "lanczos")
    assert largest_difference(pixels, photos, 32, 32, "lanczos") <= 1
    answers = np.array(page.evaluate(ANSWER, pixels))
    classifier = Classifier.load("edge_s", artifact="static_w8a8")
    expected = [classifier.classify(decoded_in_full(file)) for file in photos]
    assert answers.argmax(axis=1).tolist() == [prediction.index for prediction in expected]
    of_files = [classifier.classify(file).index for file in photos]
    assert answers.argmax(axis=1).tolist() == of_files
    probabilities = [prediction.probability for prediction in expected]
    np.testing.assert_allclose(answers.max(axis=1), probabilities, atol=0.02)


@pytest.mark.parametrize("resample", RESAMPLING)
def test_every_filter_and_shape_gives_the_pixels_of_a_device(
    page: Any, photos: list[Path], resample: str
) -> None:
    some = photos[1:11]
    for height, width in ((24, 40), (97, 64)):
        pixels = read(page, some, height, width, resample)
        assert largest_difference(pixels, some, height, width, resample) <= 1
