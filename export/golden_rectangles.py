"""Paints the golden inputs of a model, so that it answers them as decidedly as real pictures.

`tinysight.integrity.golden` compares a device's logits with the workstation's. On noise, a model
that was trained with pictures of no class (`--outliers`) has logits near 0: a device that computes
deep layers wrong would hardly be seen, and one that rounds as it may would differ by a large part
of them. Real pictures would show a stranger the training images, or say nothing of a model for
other things. So rectangles are painted over the noise, each the best of some at random, until the
model takes the input for one of its classes: a greedy search, as the "evolved images" of Nguyen
et al. (2015), arXiv 1412.1897, and their observation that such pictures convince a network.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tinysight.bundle import RECTANGLE_BYTES
from tinysight.integrity import golden
from tinysight.preprocess import Pixels
from training.progress import ProgressCallback

STEPS = 32
"""Rectangles that are tried one after the other; about half of them are kept."""
CANDIDATES = 16
"""Of each."""


def paint_for(
    logits: Callable[[Pixels], NDArray[np.float32]],
    shape: tuple[int, int],
    classes: int,
    on_progress: ProgressCallback,
) -> tuple[str, ...]:
    """Rectangles for each golden input, as `Bundle.golden_rectangles` holds them.

    The inputs take turns in the class that they are painted for. A rectangle is kept where it
    raises that class's lead, the difference of its logit and the largest other one.

    Args:
        logits: gives the trained model's, float32 (n, classes), of uint8 (n, height, width, 3).
        shape: height and width of the input.
        classes: at least two.
        on_progress: called after each step.
    """
    random = np.random.default_rng(0)
    images = golden.noise(*shape)
    wanted = np.arange(len(images)) % classes
    leads = np.full(len(images), -np.inf)
    painted = [b""] * len(images)
    for step in range(STEPS):
        size = (len(images), CANDIDATES, RECTANGLE_BYTES)
        rectangles = random.integers(0, 256, size, dtype=np.uint8)
        tried = np.repeat(images[:, None], CANDIDATES, axis=1)
        for index in np.ndindex(tried.shape[:2]):
            golden.paint(tried[index], rectangles[index].tobytes())
        answers = logits(tried.reshape(-1, *images.shape[1:]))
        found = _leads(answers, wanted.repeat(CANDIDATES)).reshape(-1, CANDIDATES)
        best = found.argmax(axis=1)
        for i in np.flatnonzero(found.max(axis=1) > leads):
            leads[i], images[i] = found[i, best[i]], tried[i, best[i]]
            painted[i] += rectangles[i, best[i]].tobytes()
        on_progress("painting golden inputs", step + 1, STEPS)
    return tuple(one.hex() for one in painted)


def _leads(logits: NDArray[np.float32], wanted: NDArray[np.int64]) -> NDArray[np.float32]:
    """By how much the wanted class's logit exceeds the largest other one, float32 (n,)."""
    rows = np.arange(len(logits))
    others = logits.copy()
    others[rows, wanted] = -np.inf
    return np.asarray(logits[rows, wanted] - others.max(axis=1))
