"""Which resampling filter suits a model: small images are made into photos, and classified as such.

Each is upsampled four to sixteen times, pasted into the middle of a wider or a higher canvas, and
saved as JPEG, as a camera would have it. What the runtime then crops and downscales is nearly the
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

JPEG_QUALITY = (80, 96)
"""What cameras and telephones write; the upper end is excluded."""
UPSAMPLING = (4, 16)
"""The range of the factor by which an image is upsampled."""
MAX_ASPECT = 16 / 9
"""The longer side of a photo over the shorter, for a square image."""
ORIGINAL = "original images"
"""What the accuracy without any resampling is listed as."""


def make_photo(image: Pixels, random: np.random.Generator) -> bytes:
    """A small image (height, width, 3) as a JPEG file, in the middle of a larger picture."""
    height, width, _ = image.shape
    factor = random.uniform(*UPSAMPLING)
    size = round(factor * width), round(factor * height)
    # The upsampling filter is drawn too: a photo's own sharpness is not ours to choose.
    method = random.choice([Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
    upsampled = Image.fromarray(image).resize(size, Image.Resampling(method))
    canvas = [float(size[0]), float(size[1])]
    canvas[random.integers(2)] *= random.uniform(1, MAX_ASPECT)
    background = tuple(int(value) for value in image.mean(axis=(0, 1)))
    picture = Image.new("RGB", (round(canvas[0]), round(canvas[1])), background)
    picture.paste(upsampled, ((picture.width - size[0]) // 2, (picture.height - size[1]) // 2))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=int(random.integers(*JPEG_QUALITY)))
    return stream.getvalue()


def accuracy_by_filter(
    classifier: Classifier,
    images: Sequence[Pixels],
    targets: NDArray[np.int64],
    progress: ProgressCallback,
) -> Iterator[tuple[str, Accuracy]]:
    """The accuracy on the images themselves, then on photos of them by each of Pillow's filters.

    Args:
        classifier: what classifies them.
        images: uint8 (height, width, 3), of the classifier's input size.
        targets: their classes, int64 (n,).
        progress: told of each filter.

    Yields `ORIGINAL`, then the name of each filter, with the accuracy.
    """
    height, width = classifier.bundle.shape
    random = np.random.default_rng(0)
    photos = [make_photo(image, random) for image in images]
    yield ORIGINAL, _accuracy(classifier, np.stack(images), targets)
    for done, name in enumerate(RESAMPLING):
        progress(f"downscaling photos, {name}", done, len(RESAMPLING))
        pixels = [to_pixels(open_image(encoded), height, width, name) for encoded in photos]
        yield name, _accuracy(classifier, np.stack(pixels), targets)


def _accuracy(classifier: Classifier, pixels: Pixels, targets: NDArray[np.int64]) -> Accuracy:
    correct = classifier.logits(pixels).argmax(axis=1) == targets
    return Accuracy(int(correct.sum()), len(targets))
