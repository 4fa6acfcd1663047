"""A pass of a sweep, in a process of its own: `python -m benchmarks.sweep.worker OUT.npz < JOB`.

A process is one throw of the dice: where its memory lies decides some percent of every latency, for
as long as it lives. So a sweep makes many short passes, each in a fresh process, and the spread
between the passes is what its intervals are made of.
"""

import io
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.sweep.targets import Run
from tinysight.benchmark.reference_ops import clock_probe
from tinysight.benchmark.timing import time_interleaved
from tinysight.files import write_bytes
from tinysight.preprocess import Pixels

CLOCK_PROBE = "clock_probe"
"""Among the cells' names in what a pass writes; these have a slash."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one process is to time: an entrant's loader, and the batch that it is given."""

    open: Callable[[int], Run]
    images: Pixels


@dataclass(frozen=True, slots=True)
class Job:
    """One pass over cells of one thread count and one batch size."""

    measurements: Mapping[str, Measurement]
    threads: int
    calls: int
    """Timed calls of each cell, at most."""
    seconds: float
    """Time for each cell: a slow one is called less often."""

    def __post_init__(self) -> None:
        if self.calls < 1 or self.threads < 1 or not self.seconds > 0:
            raise ValueError("calls, threads and seconds must be above 0")


def main(out: Path) -> None:
    job: Job = pickle.load(sys.stdin.buffer)

    def call(measurement: Measurement) -> Callable[[], object]:
        run = measurement.open(job.threads)
        return lambda: run(measurement.images)

    calls = {
        CLOCK_PROBE: clock_probe,
        **{name: call(measurement) for name, measurement in job.measurements.items()},
    }
    stream = io.BytesIO()
    arrays: dict[str, NDArray[np.int64]] = time_interleaved(calls, job.calls, job.seconds)
    np.savez(stream, **arrays)  # type: ignore[arg-type]  # numpy's stub takes names for options
    write_bytes(out, stream.getvalue())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
