"""Plain stacks of convolutions, their notation, `32s2-48-64s2-64`, and the edge family."""

import math
import re
from dataclasses import dataclass

CHANNELS = 3
"""Of an image."""
STEM = 4
"""Side of the first kernel: with a stride of 2, a side of 4 covers every pixel equally often."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A plain stack: filters and stride of each convolution."""

    filters: tuple[int, ...]
    strides: tuple[int, ...]
    """Of each convolution, 1 or 2."""

    def __post_init__(self) -> None:
        if not self.filters or len(self.filters) != len(self.strides):
            raise ValueError("a stack must have as many strides as filters, and at least one")
        if any(count < 1 for count in self.filters) or not set(self.strides) <= {1, 2}:
            raise ValueError("the filters of a stack must be at least 1, its strides 1 or 2")

    @classmethod
    def parse(cls, text: str) -> "Stack":
        """The inverse of `str`. Raises ValueError for any other text."""
        found = [re.fullmatch(r"(\d+)(s2)?", part) for part in text.split("-")]
        if None in found:
            raise ValueError(f"{text!r} is neither a model nor a stack such as 32s2-48-64s2-64")
        parts = [match.groups() for match in found if match]
        return cls(
            tuple(int(filters) for filters, _ in parts),
            tuple(2 if halved else 1 for _, halved in parts),
        )

    def multiply_accumulates(self, height: int, width: int, classes: int) -> int:
        """Of all convolutions and the dense layer of `training.models.edge`, for one image.

        Args:
            height: of the image, pixels.
            width: of the image, pixels.
            classes: how many.
        """
        total, channels, side = 0, CHANNELS, STEM
        for filters, stride in zip(self.filters, self.strides, strict=True):
            height, width = math.ceil(height / stride), math.ceil(width / stride)
            total += height * width * side * side * channels * filters
            channels, side = filters, 3
        return total + channels * classes

    def __str__(self) -> str:
        """The filters of each convolution, with s2 for a stride of 2."""
        pairs = zip(self.filters, self.strides, strict=True)
        return "-".join(f"{filters}{'s2' * (stride == 2)}" for filters, stride in pairs)


STACKS = {
    "edge_s": Stack.parse("32s2-32-64s2-64-64-128s2-128"),
    "edge_m": Stack.parse("32s2-48-48-96s2-96-96-112s2-96"),
    "edge_l": Stack.parse("64s2-96-160s2-160-160-256s2-256-256"),
}
"""By name; how they were found: benchmarks/results/edge/search.md."""
