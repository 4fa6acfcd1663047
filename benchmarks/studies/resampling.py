"""Which resampling suits a model: small images are made into photos, and classified as such.

Each is enlarged four to sixteen times, pasted into the middle of a wider or a higher canvas, and
saved as JPEG, as a camera would have it. What the runtime then crops and shrinks is nearly the
image that was; how nearly depends on the filter.
"""

import io
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tinysight import Classifier
from tinysight.preprocess import RESAMPLING, Pixels, open_image, to_pixels
from tinysight.stats import Accuracy
from training.progress import ProgressCallback

QUALITY = (80, 96)
"""Of the JPEG files: what cameras and telephones write."""
ENLARGED = (4, 16)
WIDEST = 16 / 9


def photo(image: Pixels, random: np.random.Generator) -> bytes:
    """A small image (height, width, 3) as a JPEG file, in the middle of a larger picture."""
    height, width, _ = image.shape
    times = random.uniform(*ENLARGED)
    size = round(times * width), round(times * height)
    # The enlarging filter is drawn too: a photo's own sharpness is not ours to choose.
    method = random.choice([Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
    upsampled = Image.fromarray(image).resize(size, Image.Resampling(method))
    canvas = [size[0], size[1]]
    canvas[random.integers(2)] *= random.uniform(1, WIDEST)
    around = tuple(int(value) for value in image.mean(axis=(0, 1)))
    picture = Image.new("RGB", (round(canvas[0]), round(canvas[1])), around)
    picture.paste(upsampled, ((picture.width - size[0]) // 2, (picture.height - size[1]) // 2))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=int(random.integers(*QUALITY)))
    return stream.getvalue()


def by_resampling(
    classifier: Classifier,
    images: Sequence[Pixels],
    targets: NDArray[np.int64],
    count: ProgressCallback,
) -> Iterator[tuple[str, Accuracy]]:
    """The accuracy on the images as they are, and as photos by each of Pillow's filters."""
    height, width = classifier.bundle.height, classifier.bundle.width
    random = np.random.default_rng(0)
    photos = [photo(image, random) for image in images]
    yield "as they are", _accuracy(classifier, np.stack(images), targets)
    for place, name in enumerate(RESAMPLING):
        count(f"shrinking photos, {name}", place, len(RESAMPLING))
        pixels = [to_pixels(open_image(encoded), height, width, name) for encoded in photos]
        yield name, _accuracy(classifier, np.stack(pixels), targets)


def _accuracy(classifier: Classifier, pixels: Pixels, targets: NDArray[np.int64]) -> Accuracy:
    right = classifier.logits(pixels).argmax(axis=1) == targets
    return Accuracy(int(right.sum()), len(targets))
