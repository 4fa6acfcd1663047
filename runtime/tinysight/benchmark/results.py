"""What a benchmark measures: frozen dataclasses, which are also the schema of result documents.

`tinysight bench` prints a `BenchmarkResult` as JSON, a sweep of `benchmarks` adds to the same
parts. Both are written by `tinysight.records.to_json` and read by `from_json`, key by key. Fields
are what was measured; what follows from them, such as medians, is written beside them (`DERIVED`)
for other readers, and ignored when read. Names say the units.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tinysight.benchmark.cold_start import ColdStart
from tinysight.benchmark.reference_ops import Float32Peak
from tinysight.benchmark.timing import Latency, check_samples
from tinysight.bundle import MicrocontrollerMemory
from tinysight.device.info import DeviceInfo
from tinysight.device.state import MachineState
from tinysight.stats import Accuracy, median_interval


@dataclass(frozen=True, slots=True)
class BenchmarkSettings:
    """How latencies are measured."""

    threads: tuple[int, ...] = (1,)
    """Cores that one call may use; each number is measured."""
    batches: tuple[int, ...] = (1,)
    """Images in one call; each number is measured."""
    runs: int = 2000
    """Timed calls of each measurement, over all processes together, at most."""
    processes: int = 6
    """New processes, one after the other; six are the fewest that give an interval."""
    seconds: float = 0.2
    """Timed calls of each measurement in each process, at most: slow ones are called less often."""
    min_duration: float = 0.0
    """Seconds over which the processes are spread, at least. A machine keeps one state for some
    seconds (its neighbours, its clock): processes in quick succession share it, and their spread
    then says too little of what the next benchmark will find."""

    def __post_init__(self) -> None:
        for name in ("threads", "batches"):
            values = getattr(self, name)
            if not values or min(values) < 1 or len(set(values)) != len(values):
                raise ValueError(f"{name} must be different numbers from 1")
        if self.processes < 1 or self.runs < self.processes or not 0 < self.seconds < math.inf:
            raise ValueError("needed are a process, a run in each, and seconds above 0")
        if not 0 <= self.min_duration < math.inf:
            raise ValueError("the minimum duration must be 0 seconds or more, and finite")

    @property
    def runs_per_process(self) -> int:
        """Timed calls of each measurement in each process, at most."""
        return -(-self.runs // self.processes)


@dataclass(frozen=True, slots=True)
class ModelVariant:
    """One model file under the engine that runs it."""

    model: str
    """Whose weights: the bundle's name."""
    recipe: str
    artifact: str
    """What the bundle calls it."""
    engine: str
    bytes: int
    sha256: str
    macs: int | None
    """Multiply-accumulates for one image; None where the bundle does not record them."""
    accuracy: Accuracy | None
    accuracy_source: Literal["measured", "recorded"] | None
    """Measured with the variant, or recorded by its bundle when it was exported."""
    microcontroller: MicrocontrollerMemory | None = None
    """As its bundle recorded it."""

    DERIVED: ClassVar[tuple[str, ...]] = ("key",)

    def __post_init__(self) -> None:
        if not (self.model and self.recipe and self.engine) or self.bytes < 1:
            raise ValueError("a variant needs a model, a recipe, an engine and bytes")
        if self.macs is not None and self.macs < 1:
            raise ValueError(f"{self.key}: {self.macs} multiply-accumulates")
        if (self.accuracy is None) != (self.accuracy_source is None):
            raise ValueError(f"{self.key}: an accuracy and its source belong together")

    @property
    def key(self) -> str:
        return f"{self.model}/{self.recipe}@{self.engine}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """The latency of a variant, on so many threads with so many images in one call."""

    variant: str
    """The variant's key."""
    threads: int
    batch: int
    samples_ns: tuple[NDArray[np.int64], ...]
    """Times of single calls in nanoseconds, by process, in the order they were taken."""
    clock_probes_ns: tuple[int, ...]
    """The median of the clock probe in each process, nanoseconds: see `reference_ops`."""

    DERIVED: ClassVar[tuple[str, ...]] = (
        "median_us",
        "interval_us",
        "p90_us",
        "p99_us",
        "images_per_second",
    )

    def __post_init__(self) -> None:
        if self.threads < 1 or self.batch < 1:
            raise ValueError(f"{self.variant}: threads and batch must be at least 1")
        _check_processes(self.variant, self.samples_ns)
        if len(self.clock_probes_ns) != len(self.samples_ns) or min(self.clock_probes_ns) < 1:
            raise ValueError(f"{self.variant}: needs a clock probe above 0 ns for each process")

    @property
    def key(self) -> tuple[str, int, int]:
        """Variant, threads and batch."""
        return self.variant, self.threads, self.batch

    @property
    def latency(self) -> Latency:
        """All its samples."""
        return Latency(np.concatenate(self.samples_ns))

    @property
    def process_medians_us(self) -> NDArray[np.float64]:
        """Microseconds, float64 (processes,)."""
        return np.array([np.median(samples) for samples in self.samples_ns]) / 1e3

    @property
    def median_us(self) -> float:
        """Microseconds of one call: the median over the processes of each one's own median."""
        return float(np.median(self.process_medians_us))

    @property
    def interval_us(self) -> tuple[float, float] | None:
        """About the median, at least 95 %, from the processes' medians; None for under six."""
        return median_interval(self.process_medians_us)

    @property
    def p90_us(self) -> float | None:
        return self.latency.p90_us

    @property
    def p99_us(self) -> float | None:
        return self.latency.p99_us

    @property
    def images_per_second(self) -> float:
        return 1e6 * self.batch / self.median_us

    def process_medians_us_at(self, clock_probe_ns: float) -> NDArray[np.float64]:
        """The processes' medians on a core whose clock probe takes so long, microseconds."""
        factors = clock_probe_ns / np.array(self.clock_probes_ns, dtype=np.float64)
        return np.asarray(self.process_medians_us * factors, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class LatencyResult:
    """What a benchmark and a sweep have in common: variants, and measurements of them."""

    measured: str
    """When it was done, ISO 8601 in UTC."""
    command: str
    """What to type to measure it again."""
    device: DeviceInfo
    versions: Mapping[str, str]
    settings: BenchmarkSettings
    variants: tuple[ModelVariant, ...]
    measurements: tuple[Measurement, ...]

    def __post_init__(self) -> None:
        variants = [variant.key for variant in self.variants]
        measurements = [measurement.key for measurement in self.measurements]
        if len(set(variants)) != len(variants) or len(set(measurements)) != len(measurements):
            raise ValueError("a variant or a measurement is there twice")
        if not variants or {measurement.variant for measurement in self.measurements} != set(
            variants
        ):
            raise ValueError("the measurements are not those of the variants")

    def variant(self, key: str) -> ModelVariant:
        return next(variant for variant in self.variants if variant.key == key)

    def at(self, threads: int, batch: int) -> list[Measurement]:
        """The measurements of that many threads and images, the fastest first."""
        chosen = [m for m in self.measurements if (m.threads, m.batch) == (threads, batch)]
        return sorted(chosen, key=lambda measurement: measurement.median_us)

    @property
    def base(self) -> list[Measurement]:
        """The measurements that latencies are quoted from: fewest threads, smallest batch."""
        return self.at(
            min(measurement.threads for measurement in self.measurements),
            min(measurement.batch for measurement in self.measurements),
        )


@dataclass(frozen=True, slots=True)
class IdentityLatency:
    """The latency of the identity model in onnxruntime at batch 1: the cost of the call itself."""

    threads: int
    samples_ns: tuple[NDArray[np.int64], ...]
    """Nanoseconds, by process."""

    DERIVED: ClassVar[tuple[str, ...]] = ("median_us",)

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError("the identity model: threads must be at least 1")
        _check_processes("the identity model", self.samples_ns)

    @property
    def median_us(self) -> float:
        """The median over the processes of each one's own median."""
        return float(np.median([np.median(samples) for samples in self.samples_ns])) / 1e3


@dataclass(frozen=True, slots=True)
class ColdStarts:
    """New processes of one variant on their way to the first answer."""

    variant: str
    threads: int
    runs: tuple[ColdStart, ...]

    DERIVED: ClassVar[tuple[str, ...]] = ("median_total_ms", "peak_memory_mb")

    def __post_init__(self) -> None:
        if not self.runs or self.threads < 1:
            raise ValueError(f"{self.variant}: cold starts need a run, and a thread")

    def median_ms(self, step: str) -> float:
        """Of one of the steps, such as `load_ms`, or of `total_ms`."""
        return float(np.median([getattr(run, step) for run in self.runs]))

    @property
    def median_total_ms(self) -> float:
        return self.median_ms("total_ms")

    @property
    def peak_memory_mb(self) -> float | None:
        """The largest of the runs; None where the system hides it."""
        known = [run.peak_memory_mb for run in self.runs if run.peak_memory_mb is not None]
        return max(known, default=None)


@dataclass(frozen=True, slots=True)
class PreprocessingCost:
    """What comes before the engine for one model: see `tinysight.benchmark.sample_photo`."""

    model: str
    decode: Latency
    resize: Latency


@dataclass(frozen=True, slots=True)
class EnergyMeasurement:
    """The energy of one call at batch 1, with whatever else the machine took meanwhile."""

    variant: str
    threads: int
    joules: float
    """Of one call, idle power included."""
    calls: int
    """Over which it was averaged."""

    def __post_init__(self) -> None:
        if self.threads < 1 or self.calls < 1 or not self.joules >= 0:
            raise ValueError(f"{self.variant}: an energy needs a thread, a call, and no sign")


@dataclass(frozen=True, slots=True)
class EnergyRecord:
    """What the machine's own energy counter says."""

    counter: str
    """Its name, or why there is none."""
    idle_watts: float | None
    """None without a counter."""
    measurements: tuple[EnergyMeasurement, ...]

    def __post_init__(self) -> None:
        if self.idle_watts is not None and not self.idle_watts >= 0:
            raise ValueError("the idle power must be 0 W or more")


@dataclass(frozen=True, slots=True)
class BenchmarkResult(LatencyResult):
    """One run of `tinysight bench`."""

    before: MachineState
    after: MachineState
    warnings: tuple[str, ...]
    """What makes the figures unreliable; none for a quiet machine."""
    float32_peak: Float32Peak
    identity_latencies: tuple[IdentityLatency, ...]
    """One for each number of threads."""
    cold_starts: tuple[ColdStarts, ...]
    preprocessing: tuple[PreprocessingCost, ...]
    """One for each model."""
    energy: EnergyRecord

    DERIVED: ClassVar[tuple[str, ...]] = ("float32_peak_utilization",)

    def __post_init__(self) -> None:
        LatencyResult.__post_init__(self)
        keys = {variant.key for variant in self.variants}
        others = {one.variant for one in self.cold_starts}
        others |= {one.variant for one in self.energy.measurements}
        if not others <= keys:
            raise ValueError("a cold start or an energy is of none of the variants")
        known = {latency.threads for latency in self.identity_latencies}
        if not {measurement.threads for measurement in self.measurements} <= known:
            raise ValueError("the identity model was not measured for some number of threads")

    @property
    def float32_peak_utilization(self) -> tuple[float | None, ...]:
        """Of each measurement, in their order: see `peak_utilization`."""
        return tuple(self.peak_utilization(measurement) for measurement in self.measurements)

    def identity_latency(self, threads: int) -> IdentityLatency:
        return next(one for one in self.identity_latencies if one.threads == threads)

    def cold_start(self, measurement: Measurement) -> ColdStarts | None:
        """The cold starts of the measurement's variant on as many threads."""
        key = measurement.variant, measurement.threads
        return next((one for one in self.cold_starts if (one.variant, one.threads) == key), None)

    def energy_of(self, measurement: Measurement) -> EnergyMeasurement | None:
        """At batch 1, where there is a counter."""
        if measurement.batch != 1:
            return None
        key = measurement.variant, measurement.threads
        found = (one for one in self.energy.measurements if (one.variant, one.threads) == key)
        return next(found, None)

    def single(self) -> list[Measurement]:
        """The measurements at batch 1, the fastest first."""
        single = [measurement for measurement in self.measurements if measurement.batch == 1]
        return sorted(single, key=lambda measurement: measurement.median_us)

    def peak_utilization(self, measurement: Measurement) -> float | None:
        """The measurement's multiply-accumulates per second over the float32 peak of its cores.

        Above 1 is possible for int8, whose arithmetic is faster. None where the work is unknown.
        """
        macs = self.variant(measurement.variant).macs
        if macs is None:
            return None
        peak = self.float32_peak.macs_per_us * measurement.threads
        return macs * measurement.batch / measurement.median_us / peak


def _check_processes(what: str, samples_ns: tuple[NDArray[np.int64], ...]) -> None:
    try:
        if not samples_ns:
            raise ValueError("needs the samples of at least one process")
        for samples in samples_ns:
            check_samples(samples)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
