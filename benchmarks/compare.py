"""Two sweeps set against each other: does the second say what the first one said?"""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.result import Cell, Result

AGREEING = 0.95
"""The part of the cells that must agree when the same sweep is measured twice."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same cell in two results."""

    first: Cell
    second: Cell

    @property
    def ratio(self) -> float:
        """The second's median over the first's."""
        return self.second.median / self.first.median

    @property
    def agree(self) -> bool | None:
        """Whether one's median lies in the other's interval; None where neither has one."""
        sides = (
            (self.first.interval, self.second.median),
            (self.second.interval, self.first.median),
        )
        inside = [low <= median <= high for interval, median in sides if interval is not None
                  for low, high in (interval,)]  # fmt: skip
        return any(inside) if inside else None


def pair(first: Result, second: Result) -> list[Pair]:
    """The cells that both have, in the order of the first."""
    theirs = {cell.place: cell for cell in second.cells}
    return [Pair(cell, theirs[cell.place]) for cell in first.cells if cell.place in theirs]


def agreement(pairs: Sequence[Pair]) -> tuple[int, int]:
    """How many of the pairs agree, and of how many that can be told."""
    told = [pair.agree for pair in pairs if pair.agree is not None]
    return sum(told), len(told)
