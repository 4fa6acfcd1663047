"""Test images that are nearly training images: they inflate the accuracy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_CORRELATION = 0.98
"""Of two near duplicates. Images of CIFAR-10 correlate with themselves after JPEG of quality 75 by
0.985 or more in 95 % of cases (n = 600). From 0.98 on, pairs of photos were the same photo by eye;
drawings of a few strokes, handwritten digits say, may be two."""
_SIDE = 16
"""Of the images that are compared: what compression changes lies below."""
_BLOCK = 1024
"""Test images that are compared at once."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A test image and the training image that it resembles most."""

    test: int
    """Index of the image in the data set."""
    train: int
    correlation: float
    """Pearson's, of all pixels."""


def near_duplicates(
    images: NDArray[np.uint8], train: NDArray[np.int64], test: NDArray[np.int64]
) -> list[Duplicate]:
    """The test images that have a near duplicate among the training images.

    Correlation, not a perceptual hash: a hash of a few bits either misses a re-encoded image or
    takes two drawings of the same digit for one.

    Args:
        images: uint8 (n, height, width, 3).
        train: int64 (m,), indices.
        test: int64 (k,), indices.
    """
    of_train = _standardized(images, train)
    found = []
    for begin in range(0, len(test), _BLOCK):
        block = test[begin : begin + _BLOCK]
        correlation = _standardized(images, block) @ of_train.T
        nearest = correlation.argmax(axis=1)
        for row in np.flatnonzero(correlation.max(axis=1) >= MIN_CORRELATION):
            other = int(train[nearest[row]])
            found.append(Duplicate(int(block[row]), other, float(correlation[row, nearest[row]])))
    return found


def _standardized(images: NDArray[np.uint8], indices: NDArray[np.int64]) -> NDArray[np.float32]:
    """Images made small, with mean 0 and norm 1, float32 (n, pixels); an even one has norm 0."""
    from PIL import Image

    small = np.empty((len(indices), _SIDE * _SIDE * 3), dtype=np.float32)
    for i, index in enumerate(indices):
        picture = Image.fromarray(images[index]).resize((_SIDE, _SIDE), Image.Resampling.BOX)
        small[i] = np.asarray(picture, dtype=np.float32).ravel()
    small -= small.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(small, axis=1, keepdims=True)
    small /= np.maximum(norm, np.finfo(np.float32).tiny)
    return small
