"""How many labelled images are answered rightly."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from tinysight.preprocess import Pixels


def correct_answers(
    run: Callable[[Pixels], NDArray[np.float32]],
    batches: Iterable[tuple[Pixels, NDArray[np.int64]]],
) -> tuple[int, int]:
    """How many of the labelled images are answered rightly, and how many there are.

    Args:
        run: gives the logits, float32 (n, classes).
        batches: of uint8 (n, height, width, 3) images and int64 (n,) class indices.
    """
    correct = total = 0
    for images, targets in batches:
        correct += int((run(images).argmax(axis=1) == targets).sum())
        total += len(targets)
    return correct, total
