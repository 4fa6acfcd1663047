"""Plain stacks of convolutions and their notation: `32s2-48-64s2-64`."""

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
