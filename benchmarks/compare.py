"""Two sweeps set against each other: does the second say what the first one said?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.result import Result
from tinysight.results import Cell
from tinysight.statistics import median_interval

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
        return _agree(self.first.pass_medians, self.second.pass_medians)

    @property
    def clocks(self) -> float | None:
        """How long a fixed piece of work took in the second, over the first; None if unknown."""
        if not (self.first.yardsticks and self.second.yardsticks):
            return None
        return float(np.median(self.second.yardsticks) / np.median(self.first.yardsticks))

    @property
    def agree_at_one_clock(self) -> bool | None:
        """The same, of what each pass would have taken at the clock of the first's median pass."""
        if self.clocks is None:
            return None
        clock = float(np.median(self.first.yardsticks))
        return _agree(self.first.medians_at(clock), self.second.medians_at(clock))


def _agree(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool | None:
    """Whether the median of the one's passes lies in the interval of the other's."""
    inside = []
    for own, other in ((first, second), (second, first)):
        interval = median_interval(own)
        if interval is not None:
            low, high = interval
            inside.append(low <= float(np.median(other)) <= high)
    return any(inside) if inside else None


def pair(first: Result, second: Result) -> list[Pair]:
    """The cells that both have, in the order of the first."""
    theirs = {cell.place: cell for cell in second.cells}
    return [Pair(cell, theirs[cell.place]) for cell in first.cells if cell.place in theirs]


def agreement(verdicts: Iterable[bool | None]) -> tuple[int, int]:
    """How many of the pairs agree, and of how many that can be told."""
    told = [verdict for verdict in verdicts if verdict is not None]
    return sum(told), len(told)


def clock_note(pairs: Sequence[Pair]) -> str:
    """A sentence on how much of the differences is the machine's clock; empty if unknown."""
    clocks = [pair.clocks for pair in pairs if pair.clocks is not None]
    agreeing, told = agreement(pair.agree_at_one_clock for pair in pairs)
    if not clocks or not told:
        return ""
    return (
        f"A fixed piece of work took {float(np.median(clocks)):.3f} times as long in the second; "
        f"with that taken out, {agreeing} of {told} medians agree."
    )
