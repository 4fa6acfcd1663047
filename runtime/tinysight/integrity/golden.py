"""Golden answers: what a device must reproduce, without the training framework or any image."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinysight.bundle import Artifact, Bundle, Golden
from tinysight.engines.registry import Engine
from tinysight.preprocess import Pixels

COUNT = 32
"""How many an export records. Bundles of earlier exports have 8, the first of these."""
_SEED = b"tinysight golden 1"


def inputs(height: int, width: int, count: int = COUNT) -> Pixels:
    """Returns the inputs, uint8 (count, height, width, 3): the same on every machine, for ever.

    They come from SHAKE-256, a published function, since numpy promises no stability of its
    random numbers. Each is noise: the first of every eight of one colour, the last as fine as
    pixels are. More of them begin with the same as fewer.
    """
    size = count * height * width * 3
    # A bytearray, so that the array is not copied to be changed.
    noise = bytearray(hashlib.shake_256(_SEED).digest(size))
    images = np.frombuffer(noise, dtype=np.uint8).reshape(count, height, width, 3)
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
    run: Callable[[Pixels], NDArray[np.float32]], golden: Golden, shape: tuple[int, int]
) -> Comparison:
    """Gives an engine the golden inputs, and compares.

    Args:
        run: gives the logits, float32 (n, classes), of uint8 (n, height, width, 3).
        golden: what the workstation answered.
        shape: height and width.
    """
    expected = np.array(golden.logits)
    # One at a time, as they were recorded: kernels may differ between batch sizes.
    logits = np.concatenate([run(image[None]) for image in inputs(*shape, len(expected))])
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


def golden_error(bundle: Bundle, artifact: Artifact, engine: Engine) -> float | None:
    """How far this device's answers lie from the workstation's, relative to the logits' spread.

    None where the bundle keeps no golden answers for the artifact.
    """
    if artifact.golden is None:
        return None
    return compare(engine.run, artifact.golden, bundle.shape).max_relative_error
