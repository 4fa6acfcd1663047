"""Timing in a process of its own: run as a script, which reads a pickled `Job` from stdin.

Where a process's memory lies decides some percent of every latency, for as long as it lives. So a
benchmark times everything in several new processes one after the other, and the spread of their
medians makes its intervals. `tinysight bench` and the sweep of `benchmarks` both run this script.
"""

import json
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tinysight.benchmark import sample_photo
from tinysight.benchmark.reference_ops import (
    Float32Peak,
    clock_probe,
    float32_peak,
    identity_model_call,
)
from tinysight.benchmark.results import EnergyMeasurement, EnergyRecord
from tinysight.benchmark.timing import time_interleaved
from tinysight.bundle import load_bundle
from tinysight.device.energy import energy_counter, idle_watts, joules_per_call
from tinysight.engines.registry import open_engine
from tinysight.preprocess import Pixels
from tinysight.records import to_json

IDENTITY, CLOCK_PROBE = "identity", "clock_probe"
"""Among the variants' keys in what is timed; those have a slash."""

Run = Callable[[Pixels], NDArray[np.float32]]
"""uint8 images (n, height, width, 3) to float32 logits (n, classes)."""


@dataclass(frozen=True, slots=True)
class TimedModel:
    """A variant to be timed."""

    open: Callable[[int], Run]
    """Loads it to run on so many threads. Called in the process that times it, so it must survive
    pickle: a function of a module, or a `functools.partial` of one."""
    images: Mapping[int, Pixels]
    """By batch size, the images of one call."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one process does: the latencies, and in a benchmark of a device what goes with them."""

    models: Mapping[str, TimedModel]
    """By the variants' keys."""
    threads: tuple[int, ...]
    batches: tuple[int, ...]
    runs: int
    """Timed calls of each measurement in this process, at most."""
    seconds: float
    """Timed calls of each measurement, at most."""
    references: bool = False
    """Whether to measure the float32 peak, and the identity model at batch 1, as well."""
    preprocessing: tuple[str, ...] = ()
    """Folders of the bundles whose preprocessing is timed."""
    energy: bool = False
    """Whether to read the energy counter, for a second for each variant."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The samples of one measurement in one process, nanoseconds."""

    variant: str
    threads: int
    batch: int
    samples_ns: NDArray[np.int64]
    clock_probe_ns: int


@dataclass(frozen=True, slots=True)
class IdentityTiming:
    """The samples of the identity model in one process, nanoseconds."""

    threads: int
    samples_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PreprocessingTiming:
    """The samples of one bundle's preprocessing in one process, nanoseconds."""

    decode_ns: NDArray[np.int64]
    resize_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """What one process measured."""

    timings: tuple[Timing, ...]
    """By threads, then batches, then models, each in the job's order."""
    float32_peak: Float32Peak | None
    """Of a job with references."""
    identity: tuple[IdentityTiming, ...]
    """By threads; of a job with references."""
    preprocessing: tuple[PreprocessingTiming, ...]
    """By bundle."""
    energy: EnergyRecord | None


def measure(job: Job) -> ProcessResult:
    """Does a job in this process."""
    peak = float32_peak() if job.references else None
    timings: list[Timing] = []
    identity: list[IdentityTiming] = []
    for threads in job.threads:
        # One number of threads after the other: idle pools spin for a while, in each other's way.
        runs = {key: model.open(threads) for key, model in job.models.items()}
        for batch in job.batches:
            with_identity = job.references and batch == 1
            times = _time(job, runs, threads, batch, with_identity)
            clock = int(np.median(times.pop(CLOCK_PROBE)))
            if with_identity:
                identity.append(IdentityTiming(threads, times.pop(IDENTITY)))
            timings += [Timing(key, threads, batch, taken, clock) for key, taken in times.items()]
    return ProcessResult(
        tuple(timings),
        peak,
        tuple(identity),
        tuple(_time_preprocessing(folder, job) for folder in job.preprocessing),
        _measure_energy(job) if job.energy else None,
    )


def open_artifact(folder: str, name: str, threads: int) -> Run:
    """Loads an artifact of a bundle; its first two arguments bound, a `TimedModel.open`."""
    bundle = load_bundle(folder)
    return open_engine(bundle, bundle.artifact(name), threads).run


def _time(
    job: Job, runs: Mapping[str, Run], threads: int, batch: int, with_identity: bool
) -> dict[str, NDArray[np.int64]]:
    calls: dict[str, Callable[[], object]] = {CLOCK_PROBE: clock_probe}
    if with_identity:
        image = next(iter(job.models.values())).images[batch]
        calls[IDENTITY] = identity_model_call(image, threads)
    for key, run in runs.items():
        calls[key] = partial(run, job.models[key].images[batch])
    return time_interleaved(calls, job.runs, job.seconds)


def _time_preprocessing(folder: str, job: Job) -> PreprocessingTiming:
    calls = sample_photo.calls(load_bundle(folder))
    times = time_interleaved(calls, job.runs, job.seconds / 2)
    return PreprocessingTiming(times["decode"], times["resize"])


def _measure_energy(job: Job) -> EnergyRecord:
    """After all latencies, since it keeps the machine busy for a second for each variant."""
    counter, name = energy_counter()
    if counter is None:
        return EnergyRecord(name, None, ())
    idle = idle_watts(counter)
    measurements = []
    for threads in job.threads:
        for key, model in job.models.items():
            call = partial(model.open(threads), model.images[1])
            joules, calls = joules_per_call(counter, call)
            measurements.append(EnergyMeasurement(key, threads, joules, calls))
    return EnergyRecord(name, idle, tuple(measurements))


def main() -> None:
    # Engines may print to stdout, which is kept for the result: theirs goes to stderr.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        job: Job = pickle.load(sys.stdin.buffer)
        out.write(json.dumps(to_json(measure(job))) + "\n")


if __name__ == "__main__":
    main()
