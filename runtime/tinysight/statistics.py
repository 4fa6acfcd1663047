"""The two pieces of statistics that every stage reports: an interval and percentiles."""

import math
from dataclasses import asdict, dataclass
from typing import Any

Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution: a two-sided interval of 95 %."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Correct answers among n, with the 95 % interval of Wilson (1927) about their fraction."""

    correct: int
    n: int

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
        return max(0.0, centre - half), min(1.0, centre + half)

    def as_json(self) -> dict[str, Any]:
        low, high = self.interval
        return {**asdict(self), "value": self.value, "interval": [low, high]}

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.2%} [{low:.2%}, {high:.2%}] of {self.n:,}"
