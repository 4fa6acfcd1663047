"""Two sweeps compared: does the second repeat the latencies of the first?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinysight.benchmark.results import LatencyResult, Measurement

MIN_AGREEMENT = 0.95
"""The fraction of the measurements that must agree when the same sweep is measured twice."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same measurement in two results."""

    first: Measurement
    second: Measurement

    @property
    def ratio(self) -> float:
        """The second's median over the first's."""
        return self.second.median_us / self.first.median_us

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the ratio, 95 %; None with too few processes."""
        return ratio_interval(self.first.process_medians_us, self.second.process_medians_us)

    @property
    def agree(self) -> bool | None:
        """Whether the two may as well be the same: the ratio's interval holds 1."""
        return _holds_one(self.interval)

    @property
    def clock_ratio(self) -> float:
        """How long the clock probe took in the second, over the first."""
        return float(np.median(self.second.clock_probes_ns) / np.median(self.first.clock_probes_ns))

    @property
    def agree_at_one_clock(self) -> bool | None:
        """Whether the medians agree when all are scaled to the first's median clock probe."""
        clock = float(np.median(self.first.clock_probes_ns))
        return _holds_one(
            ratio_interval(
                self.first.process_medians_us_at(clock), self.second.process_medians_us_at(clock)
            )
        )


def ratio_interval(
    first: NDArray[np.float64], second: NDArray[np.float64], level: float = 0.95
) -> tuple[float, float] | None:
    """The interval of how many times as long the second takes, from the processes' medians.

    Between two of all the ratios of a process here to a process there: Hodges and Lehmann (1963),
    with the exact distribution of Mann and Whitney (1947), so that two sweeps of the same thing
    leave 1 outside with at most 1 - level, however their times are distributed. Whether one median
    lies in the other's own interval would be the wrong question: both are drawn, and of two perfect
    sweeps a sixth of the measurements would fail it.

    Returns None for fewer processes than can tell at that level: 4 of each for 95 %.
    """
    tail, rank = 0.0, 0
    for probability in mann_whitney_distribution(len(first), len(second)):
        tail += probability
        if tail > (1 - level) / 2:
            break
        rank += 1
    if rank == 0:
        return None
    ratios = np.sort((second[:, None] / first[None, :]).ravel())
    return float(ratios[rank - 1]), float(ratios[-rank])


def mann_whitney_distribution(n: int, m: int) -> NDArray[np.float64]:
    """The probability of each count, 0 to n * m, of pairs in which the second is smaller.

    For n and m draws of one distribution, by the generating function: the product of
    (1 - x^(m+i)) / (1 - x^i) for i from 1 to n.
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


def pair(first: LatencyResult, second: LatencyResult) -> list[Pair]:
    """The measurements that both have, in the order of the first."""
    by_key = {measurement.key: measurement for measurement in second.measurements}
    return [
        Pair(measurement, by_key[measurement.key])
        for measurement in first.measurements
        if measurement.key in by_key
    ]


def agreement(verdicts: Iterable[bool | None]) -> tuple[int, int]:
    """How many of the pairs agree, and of how many that is known."""
    known = [verdict for verdict in verdicts if verdict is not None]
    return sum(known), len(known)


def verdict(pairs: Sequence[Pair]) -> str:
    """Sentences on how many of the medians agree; empty with too few processes to tell."""
    agreeing, known = agreement(pair.agree for pair in pairs)
    if not known:
        return ""
    sentence = f"{agreeing} of {known} medians agree: the 95 % interval of their ratio holds 1."
    return f"{sentence} {clock_note(pairs)}".rstrip()


def clock_note(pairs: Sequence[Pair]) -> str:
    """A sentence on how much of the differences is the machine's clock; empty if unknown."""
    agreeing, known = agreement(pair.agree_at_one_clock for pair in pairs)
    if not known:
        return ""
    ratio = float(np.median([pair.clock_ratio for pair in pairs]))
    return (
        f"The clock probe, a fixed amount of work, took {ratio:.3f} times as long in the second; "
        f"scaled to one clock, {agreeing} of {known} medians agree."
    )
