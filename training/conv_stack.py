"""Plain stacks of convolutions, their notation, `32s2-48-64s2-64`, and the edge family."""

import re
from dataclasses import dataclass


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
