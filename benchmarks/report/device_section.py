"""What only a device's own result has: cold starts, memory, preprocessing, energy."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report.text import configuration_name
from tinysight.benchmark import sample_photo
from tinysight.benchmark.results import BenchmarkResult, Measurement

_PARTS = ("process_ms", "import_ms", "load_ms", "first_answer_ms", "total_ms")


@dataclass(frozen=True, slots=True)
class DeviceSection:
    """A table with a row for each measurement at batch 1, the fastest first."""

    warnings: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    preprocessing: str
    """A sentence on what comes before the engine."""


def device_section(benchmark: BenchmarkResult) -> DeviceSection:
    header = _header(benchmark)
    return DeviceSection(
        benchmark.warnings,
        header,
        tuple(_row(benchmark, measurement, len(header)) for measurement in benchmark.single()),
        _preprocessing(benchmark),
    )


def _header(benchmark: BenchmarkResult) -> tuple[str, ...]:
    cold_start = ("process", "import", "load", "first answer", "total, ms", "peak MB")
    energy = ("µJ",) if benchmark.energy.measurements else ()
    return ("artifact", *cold_start, "× identity model", "of float32 peak", *energy)


def _preprocessing(benchmark: BenchmarkResult) -> str:
    costs = "; ".join(
        f"for {cost.model} {cost.decode.median_us / 1e3:.1f} ms to decode and "
        f"{cost.resize.median_us / 1e3:.1f} ms to crop and resize"
        for cost in benchmark.preprocessing
    )
    return f"Preprocessing of one image, {sample_photo.DESCRIPTION}, takes {costs}."


def _row(benchmark: BenchmarkResult, measurement: Measurement, columns: int) -> tuple[str, ...]:
    cold_start, energy = benchmark.cold_start(measurement), benchmark.energy_of(measurement)
    utilization = benchmark.peak_utilization(measurement)
    identity = benchmark.identity_latency(measurement.threads)
    times: Sequence[str] = [""] * (len(_PARTS) + 1)
    if cold_start is not None:
        memory = cold_start.peak_memory_mb
        times = [f"{cold_start.median_ms(part):.1f}" for part in _PARTS]
        times = [*times, "unknown" if memory is None else f"{memory:.0f}"]
    row = (
        f"{measurement.variant}, {configuration_name(measurement).split(',')[0]}",
        *times,
        f"{measurement.median_us / identity.median_us:.1f}",
        "MACs unknown" if utilization is None else f"{utilization:.0%}",
        *(() if energy is None else (f"{1e6 * energy.joules:,.0f}",)),
    )
    return row + ("",) * (columns - len(row))
