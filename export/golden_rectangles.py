"""Paints the golden inputs of a model, so that it answers them as decidedly as real pictures.

`tinysight.integrity.golden` compares a device's logits with the workstation's. On noise, a model
that was trained with pictures of no class (`--outliers`) has logits near 0: a device that computes
deep layers wrong would hardly be seen, and one that rounds as it may would differ by a large part
of them. Real pictures would give the training images away, or say nothing of a model for
other things. So rectangles are painted over the noise, each the best of some at random, until the
model takes the input for one of its classes: a greedy search, as the "evolved images" of Nguyen
et al. (2015), arXiv 1412.1897, and their observation that such pictures convince a network.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tinysight.bundle import MAX_RECTANGLES, RECTANGLE_BYTES
from tinysight.integrity import golden
from tinysight.preprocess import Pixels
from training.progress import ProgressCallback

STEPS = MAX_RECTANGLES
"""Rectangles that are tried one after the other; about two thirds of them are kept."""
CANDIDATES = 16
"""Of each."""
_SMALLEST = 0.15
"""Size of the last rectangles, relative to the first: when the composition stands, details help."""


def paint_for(
    logits: Callable[[Pixels], NDArray[np.float32]],
    shape: tuple[int, int],
    classes: int,
    on_progress: ProgressCallback,
) -> tuple[str, ...]:
    """Rectangles for each golden input, as `Bundle.golden_rectangles` holds them.

    The inputs take turns in the class that they are painted for. A rectangle is kept where it
    raises that class's logit above the mean of all. Its lead over the second class would be the
    obvious measure, and climbs less: of a flat answer, any change of another class changes it.

    Args:
        logits: gives the trained model's, float32 (n, classes), of uint8 (n, height, width, 3).
        shape: height and width of the input.
        classes: at least two.
        on_progress: called after each step.
    """
    random = np.random.default_rng(0)
    images = golden.noise(*shape)
    wanted = np.arange(len(images)) % classes
    highest = np.full(len(images), -np.inf)
    painted = [b""] * len(images)
    for step in range(STEPS):
        size = max(_SMALLEST, 1 - step / STEPS)
        rectangles = _draw(random, (len(images), CANDIDATES), size)
        tried = np.repeat(images[:, None], CANDIDATES, axis=1)
        for index in np.ndindex(tried.shape[:2]):
            golden.paint(tried[index], rectangles[index].tobytes())
        answers = logits(tried.reshape(-1, *images.shape[1:])).reshape(len(images), CANDIDATES, -1)
        found = answers[np.arange(len(images)), :, wanted] - answers.mean(axis=2)
        best = found.argmax(axis=1)
        for i in np.flatnonzero(found.max(axis=1) > highest):
            highest[i], images[i] = found[i, best[i]], tried[i, best[i]]
            painted[i] += rectangles[i, best[i]].tobytes()
        on_progress("painting golden inputs", step + 1, STEPS)
    return tuple(one.hex() for one in painted)


def _draw(random: np.random.Generator, count: tuple[int, int], size: float) -> NDArray[np.uint8]:
    """Rectangles, (*count, 7), whose sides are `size` times those between two random corners."""
    rectangles = random.integers(0, 256, (*count, RECTANGLE_BYTES))
    corner, across = rectangles[..., :2], rectangles[..., 2:4]
    rectangles[..., 2:4] = corner + (size * (across - corner)).astype(np.int64)
    return rectangles.astype(np.uint8)
