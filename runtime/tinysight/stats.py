"""The statistics that the stages report: intervals, and whether two results differ."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution: a two-sided interval of 95 %."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Correct answers among n, with the 95 % interval of Wilson (1927) about their fraction."""

    correct: int
    n: int

    DERIVED: ClassVar = ("value", "interval")

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.n or self.n == 0:
            raise ValueError(f"{self.correct} correct of {self.n}")

    @property
    def value(self) -> float:
        return self.correct / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high, each in [0, 1]. Brown, Cai, DasGupta (2001), equation 4."""
        p, n, z2 = self.value, self.n, Z95 * Z95
        centre = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        # The fraction itself always lies within; at 0 and 1 rounding would leave it out.
        return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.2%} [{low:.2%}, {high:.2%}] of {self.n:,}"


@dataclass(frozen=True, slots=True)
class McNemar:
    """Two sets of answers to the same images: is the one more often right than the other?

    Images that both get right, or both wrong, say nothing about the difference. Each of the others
    is a fair coin if the two are equally accurate: McNemar (1947), with the binomial distribution
    itself instead of its normal approximation.
    """

    only_first: int
    """Images that only the first gets right."""
    only_second: int
    n: int
    """All images."""

    DERIVED: ClassVar = ("difference", "p")

    def __post_init__(self) -> None:
        if min(self.only_first, self.only_second) < 0 or self.n < 1:
            raise ValueError(f"{self.only_first} and {self.only_second} of {self.n}")
        if self.only_first + self.only_second > self.n:
            raise ValueError(f"{self.only_first} + {self.only_second} of {self.n} differ")

    @classmethod
    def of(cls, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> "McNemar":
        """From which of the images (n,) each gets right."""
        return cls(int((first & ~second).sum()), int((second & ~first).sum()), len(first))

    @property
    def difference(self) -> float:
        """Accuracy of the second minus that of the first."""
        return (self.only_second - self.only_first) / self.n

    @property
    def p(self) -> float:
        """How often chance alone gives a difference as large as this, of either sign."""
        coins = self.only_first + self.only_second
        fewer = min(self.only_first, self.only_second)
        if 2 * fewer == coins:
            return 1.0
        # In logarithms: 2**-coins is no float any more from 1,075 coins on.
        total = math.lgamma(coins + 1) - coins * math.log(2)
        tail = math.fsum(
            math.exp(total - math.lgamma(heads + 1) - math.lgamma(coins - heads + 1))
            for heads in range(fewer + 1)
        )
        return min(1.0, 2 * tail)


@dataclass(frozen=True, slots=True)
class PairedRatio:
    """How many times as long one thing takes as another, with a 95 % interval."""

    value: float
    low: float
    high: float

    DERIVED: ClassVar = ("within_noise",)

    @property
    def within_noise(self) -> bool:
        """Whether the two may as well take the same time: the interval holds 1."""
        return self.low <= 1 <= self.high


def paired_ratio(
    a: NDArray[np.int64], b: NDArray[np.int64], *, blocks: int = 20, resamples: int = 2000
) -> PairedRatio:
    """The median of a / b over samples that were interleaved, and its bootstrap interval.

    Each sample is set against its neighbour in time, so that what slows the machine down for a
    while falls out. Neighbours resemble each other, so single samples are no independent draws:
    whole runs of them are drawn instead (Efron and Tibshirani 1993, section 8.6: moving blocks;
    here they do not overlap), with a fixed seed.

    Args:
        a, b: int64 (n,), the i-th of each taken in the same round, above 0.
        blocks: into how many runs the samples are cut; at most n. A sweep's passes are its blocks.
        resamples: bootstrap draws.

    Raises:
        ValueError: a and b differ in length, or there are fewer than two samples or blocks.
    """
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError("a paired ratio needs as many samples of the one as of the other")
    if min(blocks, a.size) < 2:
        raise ValueError("a paired ratio needs at least two samples, and two blocks")
    ratios = a / b
    parts = np.array_split(ratios, min(blocks, a.size))
    # Blocks of one length, so that a draw is one line; the last samples of a longer one are left.
    cut = np.stack([part[: parts[-1].size] for part in parts])
    draws = np.random.default_rng(0).integers(0, len(cut), (resamples, len(cut)))
    medians = np.array([np.median(cut[draw]) for draw in draws])
    low, high = np.percentile(medians, (2.5, 97.5))
    return PairedRatio(float(np.median(ratios)), float(low), float(high))


def median_interval(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """The interval that holds the median with at least 95 %, whatever the distribution is.

    Between two of the values themselves: as many lie below the median as a fair coin gives heads
    (Conover 1999, section 3.2). None for fewer than six values, of which not even the smallest and
    the largest are far enough apart.
    """
    n = len(values)
    tail = 0.0
    rank = -1  # the 0-based place of the lower end
    for heads in range(n):
        tail += math.comb(n, heads) / 2**n
        if tail > 0.025:
            break
        rank = heads
    if rank < 0:
        return None
    ordered = np.sort(values)
    return float(ordered[rank]), float(ordered[n - 1 - rank])
