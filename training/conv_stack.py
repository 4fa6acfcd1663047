"""Plain stacks of convolutions, as they are written: `32s2-48-64s2-64`."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stack:
    """A plain stack: the filters of each convolution, and where the image shrinks."""

    filters: tuple[int, ...]
    strides: tuple[int, ...]
    """Of each convolution, 1 or 2."""

    def __post_init__(self) -> None:
        if not self.filters or len(self.filters) != len(self.strides):
            raise ValueError("a stack needs as many strides as filters, and at least one")
        if any(count < 1 for count in self.filters) or not set(self.strides) <= {1, 2}:
            raise ValueError("filters are at least 1, strides 1 or 2")

    @classmethod
    def parse(cls, text: str) -> "Stack":
        """The inverse of `str`. Raises ValueError for a text that is none."""
        found = [re.fullmatch(r"(\d+)(s2)?", part) for part in text.split("-")]
        if None in found:
            raise ValueError(f"{text!r} is no stack, such as 32s2-48-64s2-64")
        parts = [match.groups() for match in found if match]
        return cls(
            tuple(int(filters) for filters, _ in parts),
            tuple(2 if halved else 1 for _, halved in parts),
        )

    def __str__(self) -> str:
        """The filters of each convolution; s2 marks those that halve the image."""
        pairs = zip(self.filters, self.strides, strict=True)
        return "-".join(f"{filters}{'s2' * (stride == 2)}" for filters, stride in pairs)
