"""What `tinysight bench` measures, as frozen dataclasses, and as the JSON document that it prints.

`benchmarks/schema/bench-1.json` publishes the document's shape. Times are integers in nanoseconds
where they are samples, and microseconds or milliseconds, as the names say, where they follow from
samples; all of these are written for other readers, and none is read back.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tinysight.benchmark.cold_start import ColdStart
from tinysight.benchmark.reference_ops import Peak
from tinysight.benchmark.timing import Latency
from tinysight.stats import Accuracy, median_interval

KIND = "bench"
FORMAT = 1
"""Before there was a format, one bundle's latencies alone were printed."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What an entry costs, on so many threads with so many images in one call."""

    variant: str
    """The entry's key."""
    threads: int
    batch: int
    passes: tuple[NDArray[np.int64], ...]
    """Times of single calls in nanoseconds, by pass, in the order they were taken."""
    clock_probes: tuple[int, ...] = ()
    """What `tinysight.benchmark.reference_ops.clock_probe` took meanwhile: the median of each pass,
    nanoseconds; none in older results."""

    def __post_init__(self) -> None:
        if self.threads < 1 or self.batch < 1:
            raise ValueError(f"{self.variant}: threads and batch must be at least 1")
        _check_passes(self.variant, self.passes)
        if self.clock_probes and len(self.clock_probes) != len(self.passes):
            raise ValueError(f"{self.variant}: a yardstick for each pass, or none")
        if min(self.clock_probes, default=1) < 1:
            raise ValueError(f"{self.variant}: a yardstick takes more than 0 ns")

    @property
    def place(self) -> tuple[str, int, int]:
        return self.variant, self.threads, self.batch

    @property
    def latency(self) -> Latency:
        """All its samples."""
        return Latency(np.concatenate(self.passes))

    @property
    def median(self) -> float:
        """Microseconds of one call: the median over the passes of each pass's own median."""
        return float(np.median(self.pass_medians))

    @property
    def interval(self) -> tuple[float, float] | None:
        """About the median, at least 95 %, from the spread between passes; None for under six."""
        return median_interval(self.pass_medians)

    def medians_at(self, clock_probe: float) -> NDArray[np.float64]:
        """The passes' medians on a core whose yardstick takes so many nanoseconds, microseconds."""
        clocks = clock_probe / np.array(self.clock_probes, dtype=np.float64)
        return np.asarray(self.pass_medians * clocks, dtype=np.float64)

    @property
    def images_per_second(self) -> float:
        return 1e6 * self.batch / self.median

    @property
    def pass_medians(self) -> NDArray[np.float64]:
        """Microseconds, float64 (passes,)."""
        return np.array([np.median(samples) for samples in self.passes]) / 1e3

    def as_json(self) -> dict[str, Any]:
        return {
            "entry": self.variant,
            "threads": self.threads,
            "batch": self.batch,
            "median_us": self.median,
            "interval_us": self.interval and list(self.interval),
            "p90_us": self.latency.percentile(90),
            "p99_us": self.latency.percentile(99),
            "images_per_second": self.images_per_second,
            "yardsticks_ns": list(self.clock_probes),
            "passes_ns": [samples.tolist() for samples in self.passes],
        }


@dataclass(frozen=True, slots=True)
class ModelVariant:
    """One artifact under the engine that runs it: what it is, and what it is worth."""

    model: str
    """The bundle's name."""
    recipe: str
    artifact: str
    """What the bundle calls it."""
    engine: str
    bytes: int
    sha256: str
    macs: int | None
    """Multiply-accumulates for one image; None where the bundle does not record them."""
    accuracy: Accuracy | None
    accuracy_from: Literal["measured here", "recorded by the bundle"] | None

    def __post_init__(self) -> None:
        if not (self.model and self.recipe and self.engine) or self.bytes < 1:
            raise ValueError("an entry needs a model, a recipe, an engine and bytes")
        if self.macs is not None and self.macs < 1:
            raise ValueError(f"{self.key}: {self.macs} multiply-accumulates")
        if (self.accuracy is None) != (self.accuracy_from is None):
            raise ValueError(f"{self.key}: an accuracy and where it is from belong together")

    @property
    def key(self) -> str:
        return f"{self.model}/{self.recipe}@{self.engine}"

    def as_json(self) -> dict[str, Any]:
        accuracy = self.accuracy
        # Not asdict alone: that would take the accuracy apart without its interval.
        return {**asdict(self), "accuracy": accuracy and accuracy.as_json()}


@dataclass(frozen=True, slots=True)
class ColdStarts:
    """Fresh processes of one entry on their way to the first answer."""

    variant: str
    threads: int
    runs: tuple[ColdStart, ...]

    def __post_init__(self) -> None:
        if not self.runs or self.threads < 1:
            raise ValueError(f"{self.variant}: a cold start needs a run, and a thread")

    def median(self, part: str) -> float:
        """Of one of the parts, or of `total_ms`, in milliseconds."""
        return float(np.median([getattr(run, part) for run in self.runs]))

    @property
    def peak_memory_mb(self) -> float | None:
        """The largest of the runs; None where the system hides it."""
        return max((r.peak_memory_mb for r in self.runs if r.peak_memory_mb is not None),
                   default=None)  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        return {
            "entry": self.variant,
            "threads": self.threads,
            "median_total_ms": self.median("total_ms"),
            "peak_memory_mb": self.peak_memory_mb,
            "runs": [asdict(run) for run in self.runs],
        }


@dataclass(frozen=True, slots=True)
class IdentityLatency:
    """The call itself: an empty graph in onnxruntime, at batch 1."""

    threads: int
    passes: tuple[NDArray[np.int64], ...]
    """Nanoseconds, by pass."""

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError("the empty graph needs a thread")
        _check_passes("the empty graph", self.passes)

    @property
    def median(self) -> float:
        """Microseconds."""
        return float(np.median([np.median(samples) for samples in self.passes])) / 1e3

    def as_json(self) -> dict[str, Any]:
        return {
            "threads": self.threads,
            "median_us": self.median,
            "passes_ns": [samples.tolist() for samples in self.passes],
        }


@dataclass(frozen=True, slots=True)
class PreprocessingCost:
    """What comes before the engine for one model: see `tinysight.benchmark.sample_photo`."""

    model: str
    decode: Latency
    resize: Latency

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "decode_us": self.decode.median,
            "resize_us": self.resize.median,
            "decode_ns": self.decode.samples.tolist(),
            "resize_ns": self.resize.samples.tolist(),
        }


@dataclass(frozen=True, slots=True)
class Energy:
    """Of one cell, by the machine's own counter, with whatever else the machine took meanwhile."""

    variant: str
    threads: int
    joules: float
    """Of one call at batch 1."""
    calls: int

    def __post_init__(self) -> None:
        if self.threads < 1 or self.calls < 1 or not self.joules >= 0:
            raise ValueError(f"{self.variant}: an energy needs a thread, a call, and no sign")


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """One run of `tinysight bench`."""

    measured: str
    """When it was done, ISO 8601 in UTC."""
    command: str
    """What to type to measure it again."""
    device: Mapping[str, Any]
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
    before: Mapping[str, Any]
    """Load, clock, temperature and throttling: see `tinysight.device.state`."""
    after: Mapping[str, Any]
    warnings: tuple[str, ...]
    """What makes the figures doubtful; none for a quiet machine."""
    peak: Peak
    identity_latencies: tuple[IdentityLatency, ...]
    """One for each number of threads."""
    variants: tuple[ModelVariant, ...]
    measurements: tuple[Measurement, ...]
    starts: tuple[ColdStarts, ...]
    preprocessing: tuple[PreprocessingCost, ...]
    """One for each model."""
    counter: str
    """The energy counter, or why there is none."""
    idle_watts: float | None
    energies: tuple[Energy, ...]

    def __post_init__(self) -> None:
        keys = [variant.key for variant in self.variants]
        places = [measurement.place for measurement in self.measurements]
        if len(set(keys)) != len(keys) or len(set(places)) != len(places):
            raise ValueError("an entry or a cell is there twice")
        if {measurement.variant for measurement in self.measurements} != set(keys):
            raise ValueError("cells and entries do not belong together")
        others = {one.variant for one in self.starts} | {one.variant for one in self.energies}
        if not others <= set(keys):
            raise ValueError("a cold start or an energy belongs to no entry")
        if not {identity_latency.threads for identity_latency in self.identity_latencies} >= {
            measurement.threads for measurement in self.measurements
        }:
            raise ValueError("no empty graph was measured for some number of threads")
        if self.idle_watts is not None and not self.idle_watts >= 0:
            raise ValueError("no machine gives energy back when idle")

    def variant(self, key: str) -> ModelVariant:
        return next(variant for variant in self.variants if variant.key == key)

    def identity_latency(self, threads: int) -> IdentityLatency:
        return next(
            identity_latency
            for identity_latency in self.identity_latencies
            if identity_latency.threads == threads
        )

    def start(self, measurement: Measurement) -> ColdStarts | None:
        """The cold start of the cell's entry on as many threads."""
        place = measurement.variant, measurement.threads
        return next((one for one in self.starts if (one.variant, one.threads) == place), None)

    def energy(self, measurement: Measurement) -> Energy | None:
        """At batch 1, where there is a counter."""
        place = measurement.variant, measurement.threads
        found = [one for one in self.energies if (one.variant, one.threads) == place]
        return found[0] if found and measurement.batch == 1 else None

    def single(self) -> list[Measurement]:
        """The cells at batch 1, the quickest first."""
        return sorted(
            (measurement for measurement in self.measurements if measurement.batch == 1),
            key=lambda c: c.median,
        )

    def peak_utilization(self, measurement: Measurement) -> float | None:
        """The least time that the cell's cores need for the multiply-accumulates in float32, as a
        part of what it takes. Above 1 is possible for int8, whose arithmetic is quicker."""
        macs = self.variant(measurement.variant).macs
        if macs is None:
            return None
        return (
            macs
            * measurement.batch
            / (self.peak.macs_per_us * measurement.threads)
            / measurement.median
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": KIND,
            "format": FORMAT,
            "measured": self.measured,
            "command": self.command,
            "device": dict(self.device),
            "versions": dict(self.versions),
            "settings": dict(self.settings),
            "before": dict(self.before),
            "after": dict(self.after),
            "warnings": list(self.warnings),
            "peak": asdict(self.peak),
            "floors": [identity_latency.as_json() for identity_latency in self.identity_latencies],
            "entries": [variant.as_json() for variant in self.variants],
            "cells": [
                {
                    **measurement.as_json(),
                    "share_of_float32_peak": self.peak_utilization(measurement),
                }
                for measurement in self.measurements
            ],
            "starts": [starts.as_json() for starts in self.starts],
            "preprocessing": [one.as_json() for one in self.preprocessing],
            "energy": {
                "counter": self.counter,
                "idle_watts": self.idle_watts,
                "cells": [asdict(energy) for energy in self.energies],
            },
        }


def _check_passes(what: str, passes: tuple[NDArray[np.int64], ...]) -> None:
    if not passes or any(samples.size == 0 or samples.min() < 1 for samples in passes):
        raise ValueError(f"{what}: every pass needs samples, each above 0 ns")
