"""Two sweeps set against each other: does the second say what the first one said?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.sweep.result import Result
from tinysight.benchmark.results import Measurement

AGREEING = 0.95
"""The part of the cells that must agree when the same sweep is measured twice."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same cell in two results."""

    first: Measurement
    second: Measurement

    @property
    def ratio(self) -> float:
        """The second's median over the first's."""
        return self.second.median / self.first.median

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the ratio, 95 %; None with too few passes."""
        return ratio_interval(self.first.pass_medians, self.second.pass_medians)

    @property
    def agree(self) -> bool | None:
        """Whether the two may as well be the same: the ratio's interval holds 1."""
        return _holds_one(self.interval)

    @property
    def clocks(self) -> float | None:
        """How long a fixed piece of work took in the second, over the first; None if unknown."""
        if not (self.first.clock_probes and self.second.clock_probes):
            return None
        return float(np.median(self.second.clock_probes) / np.median(self.first.clock_probes))

    @property
    def agree_at_one_clock(self) -> bool | None:
        """The same, of what each pass would have taken at the clock of the first's median pass."""
        if self.clocks is None:
            return None
        clock = float(np.median(self.first.clock_probes))
        return _holds_one(
            ratio_interval(self.first.medians_at(clock), self.second.medians_at(clock))
        )


def ratio_interval(
    first: NDArray[np.float64], second: NDArray[np.float64], level: float = 0.95
) -> tuple[float, float] | None:
    """The interval of how many times as long the second takes, from the passes' medians.

    Between two of all the ratios of a pass here to a pass there: Hodges and Lehmann (1963), with
    the exact distribution of Mann and Whitney (1947), so that two sweeps of the same thing leave
    1 outside with at most 1 - level, however their times are distributed. Whether one median lies
    in the other's own interval would be the wrong question: both are drawn, and of two perfect
    sweeps a sixth of the cells would fail it.

    Returns None for fewer passes than can tell at that level: 4 of each for 95 %.
    """
    tail, rank = 0.0, 0
    for probability in _mann_whitney(len(first), len(second)):
        tail += probability
        if tail > (1 - level) / 2:
            break
        rank += 1
    if rank == 0:
        return None
    ratios = np.sort((second[:, None] / first[None, :]).ravel())
    return float(ratios[rank - 1]), float(ratios[-rank])


def _mann_whitney(n: int, m: int) -> NDArray[np.float64]:
    """How probable each count of pairs in which the second is smaller is, for 0 to n * m.

    By the generating function: the product of (1 - x^(m+i)) / (1 - x^i) for i from 1 to n.
    """
    counts = np.zeros(n * m + 1)
    counts[0] = 1
    for i in range(1, n + 1):
        if m + i <= n * m:
            counts[m + i :] -= counts[: -m - i].copy()
        for at in range(i, n * m + 1):
            counts[at] += counts[at - i]
    return np.asarray(counts / counts.sum())


def _holds_one(interval: tuple[float, float] | None) -> bool | None:
    return None if interval is None else interval[0] <= 1 <= interval[1]


def pair(first: Result, second: Result) -> list[Pair]:
    """The cells that both have, in the order of the first."""
    theirs = {measurement.place: measurement for measurement in second.measurements}
    return [
        Pair(measurement, theirs[measurement.place])
        for measurement in first.measurements
        if measurement.place in theirs
    ]


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
