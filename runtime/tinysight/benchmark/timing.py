"""Timing things of different sizes interleaved, without one showing in the other's latency.

Where single calls alternate, each finds the caches as its neighbour left them: beside VGG16 a small
network took twice as long as alone, and the identity model seven times. So each gets a short series
of calls at a time, the first of which are discarded.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tinysight.bundle import Bundle
from tinysight.preprocess import Pixels

WARM_UP_CALLS = 50
WARM_UP_SECONDS = 0.2
"""Whichever comes first: the first calls allocate, and select their kernels."""
SERIES_SECONDS = 2e-3
SERIES_CALLS = 20
DISCARDED_CALLS = 5
"""At the start of every series of short calls; of long calls, one is discarded."""


def time_interleaved(
    calls: Mapping[str, Callable[[], object]], runs: int, seconds: float
) -> dict[str, NDArray[np.int64]]:
    """Times each call in short series, one after the other and round again.

    Args:
        calls: what to time, by name.
        runs: timed calls of each, at most.
        seconds: of timed calls of each, at most.

    Returns:
        int64 nanoseconds of the timed calls by name, at least one of each.
    """
    clock = time.perf_counter_ns
    plans = {}
    for name, call in calls.items():
        shortest = _warm_up(call)
        series = int(np.clip(SERIES_SECONDS / shortest, 1, SERIES_CALLS))
        discarded = DISCARDED_CALLS if series == SERIES_CALLS else 1
        count = int(np.clip(seconds / shortest, 1, runs))
        plans[name] = (series, discarded, count)
    times: dict[str, list[int]] = {name: [] for name in calls}
    names: Sequence[str] = list(calls)
    rounds = 0
    while names:
        # Each round starts with another one, so that none always runs behind the same neighbour.
        first = rounds % len(names)
        for name in (*names[first:], *names[:first]):
            call, taken = calls[name], times[name]
            series, discarded, count = plans[name]
            for _ in range(discarded):
                call()
            for _ in range(min(series, count - len(taken))):
                began = clock()
                call()
                taken.append(clock() - began)
        names = [name for name in names if len(times[name]) < plans[name][2]]
        rounds += 1
    return {name: np.array(taken, dtype=np.int64) for name, taken in times.items()}


def _warm_up(call: Callable[[], object]) -> float:
    """Calls it some times; the seconds of the shortest call."""
    end = time.perf_counter() + WARM_UP_SECONDS
    shortest = float("inf")
    for _ in range(WARM_UP_CALLS):
        began = time.perf_counter()
        call()
        now = time.perf_counter()
        shortest = min(shortest, now - began)
        if now > end:
            break
    return max(shortest, 1e-9)


@dataclass(frozen=True, slots=True)
class Latency:
    """Times of single calls."""

    samples_ns: NDArray[np.int64]
    """int64 (n,) nanoseconds above 0, in the order they were taken."""

    DERIVED: ClassVar[tuple[str, ...]] = ("median_us", "p90_us", "p99_us", "calls_per_second")

    def __post_init__(self) -> None:
        check_samples(self.samples_ns)

    def percentile_us(self, percent: float) -> float | None:
        """In microseconds; None where fewer than ten samples lie beyond it."""
        if self.samples_ns.size * min(percent, 100 - percent) / 100 < 10:
            return None
        return float(np.percentile(self.samples_ns, percent)) / 1e3

    @property
    def median_us(self) -> float:
        return float(np.median(self.samples_ns)) / 1e3

    @property
    def p90_us(self) -> float | None:
        return self.percentile_us(90)

    @property
    def p99_us(self) -> float | None:
        return self.percentile_us(99)

    @property
    def calls_per_second(self) -> float:
        """One over the mean."""
        return 1e9 / float(self.samples_ns.mean())


def check_samples(samples_ns: NDArray[np.int64]) -> None:
    """Raises ValueError unless these are times of single calls: a row of at least one, above 0."""
    if samples_ns.ndim != 1 or samples_ns.size == 0:
        raise ValueError("a latency needs at least one sample")
    if samples_ns.min() < 1:
        raise ValueError("every sample must be above 0 ns")


def random_images(bundle: Bundle, batch: int = 1) -> Pixels:
    """Seeded images to time a bundle's models on, uint8 (batch, height, width, 3).

    Not zeros: kernels that skip zeros would look faster than they are.
    """
    shape = (batch, bundle.height, bundle.width, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
