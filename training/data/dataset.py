"""A data set: every image in one array, and the index sets that say what each is for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

PARTS = ("train", "val", "test")
"""The parts that data may come in; only the first is required."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much is done, and how much there is in all."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a reader makes of its source: the parts one behind the other, in the order of PARTS."""

    labels: tuple[str, ...]
    """By class index."""
    images: NDArray[np.uint8]
    """(n, height, width, 3), RGB."""
    targets: NDArray[np.int64]
    """(n,), class indices."""
    counts: Mapping[str, int]
    """How many images each part has."""

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
    """As a report quotes it, with what sets it apart from others of its name."""
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
    """What a reader of the figures must know, as where the test images come from."""

    def __post_init__(self) -> None:
        if not {"train", "test"} <= set(self.parts) <= set(PARTS):
            raise ValueError(f"parts must be train, test and perhaps val, not {sorted(self.parts)}")
        every = np.concatenate(list(self.parts.values()))
        if len(every) and not 0 <= every.min() <= every.max() < len(self.targets):
            # A negative index would be a second name of an image, and pass the next check.
            raise ValueError(f"a part has an index beyond the {len(self.targets)} images")
        if len(np.unique(every)) != len(every):
            raise ValueError("an image is in two parts")
