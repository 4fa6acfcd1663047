"""Timing things of different sizes in turns, without one showing in the other's latency.

Where calls take turns one by one, each finds the caches as its neighbour left them: beside VGG16 a
small network took twice as long as alone, and an empty graph seven times. So each gets a short
burst of calls, the first of which are thrown away.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.bundle import Bundle
from tinysight.preprocess import Pixels

WARM_UP_CALLS = 50
WARM_UP_SECONDS = 0.2
"""Whichever comes first: the first calls allocate, and choose their kernels."""
BURST_SECONDS = 2e-3
BURST_CALLS = 20
DISCARDED_CALLS = 5
"""Thrown away at the start of every burst of short calls; a long call settles within one."""


def time_interleaved(
    calls: Mapping[str, Callable[[], object]], most: int, seconds: float
) -> dict[str, NDArray[np.int64]]:
    """Times each call up to `most` times, in bursts and in turns: int64 nanoseconds by name."""
    clock = time.perf_counter_ns
    plans = {}
    for name, call in calls.items():
        one = _warm_up(call)
        burst = int(np.clip(BURST_SECONDS / one, 1, BURST_CALLS))
        discarded = DISCARDED_CALLS if burst == BURST_CALLS else 1
        wanted = int(np.clip(seconds / one, 1, most))
        plans[name] = (burst, discarded, wanted)
    times: dict[str, list[int]] = {name: [] for name in calls}
    names: Sequence[str] = list(calls)
    turn = 0
    while names:
        # Each round starts with another one, so that none always runs behind the same neighbour.
        first = turn % len(names)
        for name in (*names[first:], *names[:first]):
            call, taken = calls[name], times[name]
            burst, discarded, wanted = plans[name]
            for _ in range(discarded):
                call()
            for _ in range(min(burst, wanted - len(taken))):
                began = clock()
                call()
                taken.append(clock() - began)
        names = [name for name in names if len(times[name]) < plans[name][2]]
        turn += 1
    return {name: np.array(taken, dtype=np.int64) for name, taken in times.items()}


def _warm_up(call: Callable[[], object]) -> float:
    """Calls it some times; the seconds of the quickest call."""
    end = time.perf_counter() + WARM_UP_SECONDS
    quickest = float("inf")
    for _ in range(WARM_UP_CALLS):
        began = time.perf_counter()
        call()
        now = time.perf_counter()
        quickest = min(quickest, now - began)
        if now > end:
            break
    return max(quickest, 1e-9)


@dataclass(frozen=True, slots=True)
class Latency:
    """Times of single calls, int64 nanoseconds, in the order they were taken."""

    samples: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.size == 0:
            raise ValueError("a latency needs at least one sample")

    def percentile(self, percent: float) -> float | None:
        """In microseconds; None where fewer than ten samples lie beyond it, too few to tell."""
        if self.samples.size * min(percent, 100 - percent) / 100 < 10:
            return None
        return float(np.percentile(self.samples, percent)) / 1e3

    @property
    def median(self) -> float:
        """In microseconds."""
        return float(np.median(self.samples)) / 1e3

    def as_json(self) -> dict[str, Any]:
        """Microseconds; `images_per_second` is one over the mean."""
        return {
            "median_us": self.median,
            "p90_us": self.percentile(90),
            "p99_us": self.percentile(99),
            "images_per_second": 1e9 / float(self.samples.mean()),
            "samples": int(self.samples.size),
        }


def random_images(bundle: Bundle, batch: int = 1) -> Pixels:
    """Seeded images to time a bundle's models on, uint8 (batch, height, width, 3).

    Not zeros: no kernel of ours is quicker on zeros, but an engine might come to be.
    """
    shape = (batch, bundle.height, bundle.width, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
