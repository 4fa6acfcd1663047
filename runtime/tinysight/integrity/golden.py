"""Golden answers: what a device must reproduce, without the training framework or any image.

The inputs are noise, the same for every model, over which the export has painted rectangles until
this model takes each for one of its classes (`export.golden_rectangles`). Noise alone would prove
little: a model that was trained with pictures of no class answers it with logits near 0.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinysight.bundle import RECTANGLE_BYTES, Bundle, Golden
from tinysight.preprocess import Pixels

COUNT = 32
"""How many an export records."""
_SEED = b"tinysight golden 1"


def inputs(bundle: Bundle, count: int = COUNT) -> Pixels:
    """The golden inputs of a bundle, uint8 (count, height, width, 3)."""
    return painted(noise(*bundle.shape, count), bundle.golden_rectangles)


def painted(images: Pixels, rectangles: Sequence[str]) -> Pixels:
    """The images, uint8 (n, height, width, 3), with `Bundle.golden_rectangles` over the first."""
    images = images.copy()
    for image, text in zip(images, rectangles, strict=False):
        paint(image, bytes.fromhex(text))
    return images


def paint(image: Pixels, rectangles: bytes) -> None:
    """Paints rectangles over an image, uint8 (height, width, 3), in place, one after the other.

    Args:
        image: is changed.
        rectangles: seven bytes each: column and row of one corner and of the one across, as 256ths
            of the image's sides, then red, green and blue. Both corners' pixels are painted.
    """
    height, width, _ = image.shape
    for at in range(0, len(rectangles), RECTANGLE_BYTES):
        x0, y0, x1, y1, *colour = rectangles[at : at + RECTANGLE_BYTES]
        left, right = sorted((x0 * width // 256, x1 * width // 256))
        top, bottom = sorted((y0 * height // 256, y1 * height // 256))
        image[top : bottom + 1, left : right + 1] = colour


def noise(height: int, width: int, count: int = COUNT) -> Pixels:
    """Noise, uint8 (count, height, width, 3): the same on every machine, for ever.

    The bytes come from SHAKE-256, a published function, since numpy promises no stability of its
    random numbers. Each is noise: the first of every eight of one colour, the last as fine as
    pixels are. More of them begin with the same as fewer.
    """
    size = count * height * width * 3
    # A bytearray, so that the array is not copied to be changed.
    content = bytearray(hashlib.shake_256(_SEED).digest(size))
    images = np.frombuffer(content, dtype=np.uint8).reshape(count, height, width, 3)
    for index, image in enumerate(images):
        grain = max(1, max(height, width) >> index % 8)
        coarse = image[::grain, ::grain]
        image[:] = coarse.repeat(grain, axis=0).repeat(grain, axis=1)[:height, :width]
    return images


def record(logits: NDArray[np.float32], tolerance: float) -> Golden:
    """What bundle.json keeps of the workstation's answers, float32 (n, classes)."""
    rows = tuple(tuple(float(f"{value:.7g}") for value in row) for row in logits)
    return Golden(rows, tolerance)


@dataclass(frozen=True, slots=True)
class Comparison:
    """This device's answers to the golden inputs against those that were recorded."""

    inputs: int
    same_top1: int
    """Inputs on which both name the same class first."""
    max_relative_error: float
    """The largest difference of a logit, relative to the recorded ones' spread (max - min);
    infinity where one is no number."""
    tolerance: float
    """What is allowed of it."""
    clear_top1_changes: int
    """Inputs on which this device names another class first, though the workstation's lead over
    the next was larger than the tolerance."""

    @property
    def ok(self) -> bool:
        return self.max_relative_error <= self.tolerance and self.clear_top1_changes == 0


def compare(
    run: Callable[[Pixels], NDArray[np.float32]], golden: Golden, bundle: Bundle
) -> Comparison:
    """Gives an engine the golden inputs, and compares.

    Args:
        run: gives the logits, float32 (n, classes), of uint8 (n, height, width, 3).
        golden: what the workstation answered.
        bundle: whose artifact it is.
    """
    expected = np.array(golden.logits)
    # One at a time, as they were recorded: kernels may differ between batch sizes.
    logits = np.concatenate([run(image[None]) for image in inputs(bundle, len(expected))])
    changed = logits.argmax(axis=1) != expected.argmax(axis=1)
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - best[:, -2] > golden.tolerance * np.ptp(expected)
    return Comparison(
        inputs=len(expected),
        same_top1=int((~changed).sum()),
        max_relative_error=max_relative_error(logits, expected),
        tolerance=golden.tolerance,
        clear_top1_changes=int((changed & clear).sum()),
    )


def max_relative_error(logits: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """The largest difference of two sets of logits, relative to the spread of `expected`."""
    exact = expected.astype(np.float64)
    distance = float(np.abs(logits - exact).max() / max(float(np.ptp(exact)), 1e-12))
    return math.inf if math.isnan(distance) else distance
