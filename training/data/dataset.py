"""A data set: all images in one array, and the index sets of its parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

PARTS = ("train", "val", "test")
"""Of the data; only the first is required."""

OWN = "supplied by the user"
"""The attribution of what a user brings."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Decoded images, the parts one after the other in the order of PARTS."""

    labels: tuple[str, ...]
    """By class index."""
    images: NDArray[np.uint8]
    """(n, height, width, 3), RGB."""
    targets: NDArray[np.int64]
    """(n,), class indices."""
    counts: Mapping[str, int]
    """Number of images, by part."""
    broken: tuple[str, ...] = ()
    """Pictures that could not be read, with the reason, and are not among the images."""
    others: int = 0
    """Number of files that are no pictures."""

    def __post_init__(self) -> None:
        n = len(self.targets)
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[-1] != 3:
            raise ValueError(f"images are {self.images.dtype} {self.images.shape}")
        if self.targets.dtype != np.int64 or self.targets.ndim != 1:
            raise ValueError(f"targets are {self.targets.dtype} {self.targets.shape}")
        if len(self.images) != n or sum(self.counts.values()) != n:
            raise ValueError(f"{len(self.images)} images, {n} targets, parts {dict(self.counts)}")
        if n and (self.targets.min() < 0 or self.targets.max() >= len(self.labels)):
            raise ValueError("a target is no class index")
        if not set(self.counts) <= set(PARTS):
            raise ValueError(f"unknown part among {sorted(self.counts)}")


@dataclass(frozen=True, slots=True)
class Dataset:
    """Images with their classes, ready to be split."""

    name: str
    title: str
    """As a report names it."""
    source: str
    """What `load_dataset` was given, made absolute where it is a path."""
    attribution: str
    labels: tuple[str, ...]
    images: NDArray[np.uint8]
    """(n, height, width, 3), RGB, memory-mapped and read-only."""
    targets: NDArray[np.int64]
    """(n,)."""
    parts: Mapping[str, Indices]
    """`train` and `test`, and `val` where the data brings its own. Disjoint."""
    fingerprint: str
    """SHA-256 over labels, targets and decoded pixels."""
    notes: tuple[str, ...] = field(default=())
    """What a reader of the results must know, such as where the test images come from."""
    broken: tuple[str, ...] = ()
    """Pictures that could not be read, with the reason, and are not among the images."""
    held_out: bool = False
    """Whether the test images were split off the training part, as the data brings none."""

    @property
    def is_own(self) -> bool:
        """Whether a user brought it: neither scikit-learn's digits nor CIFAR-10."""
        return self.attribution == OWN

    def __post_init__(self) -> None:
        if not {"train", "test"} <= set(self.parts) <= set(PARTS):
            raise ValueError(f"parts must be train, test and perhaps val, not {sorted(self.parts)}")
        every = np.concatenate(list(self.parts.values()))
        if len(every) and not 0 <= every.min() <= every.max() < len(self.targets):
            # A negative index is a second name of an image, which the next check would miss.
            raise ValueError(f"a part has an index beyond the {len(self.targets)} images")
        if len(np.unique(every)) != len(every):
            raise ValueError("an image is in two parts")
