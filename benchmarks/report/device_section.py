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


def device_section(bench: BenchmarkResult) -> DeviceSection:
    header = _header(bench)
    return DeviceSection(
        bench.warnings,
        header,
        tuple(_row(bench, measurement, len(header)) for measurement in bench.single()),
        _preprocessing(bench),
    )


def _header(bench: BenchmarkResult) -> tuple[str, ...]:
    cold_start = ("process", "import", "load", "first answer", "total, ms", "peak MB")
    energy = ("µJ",) if bench.energies else ()
    return ("artifact", *cold_start, "× identity model", "of float32 peak", *energy)


def _preprocessing(bench: BenchmarkResult) -> str:
    costs = "; ".join(
        f"for {cost.model} {cost.decode.median / 1e3:.1f} ms to decode and "
        f"{cost.resize.median / 1e3:.1f} ms to crop and resize"
        for cost in bench.preprocessing
    )
    return f"Preprocessing of one image, {sample_photo.WHAT}, takes {costs}."


def _row(bench: BenchmarkResult, measurement: Measurement, columns: int) -> tuple[str, ...]:
    cold_start, energy = bench.start(measurement), bench.energy(measurement)
    utilization = bench.peak_utilization(measurement)
    times: Sequence[str] = [""] * (len(_PARTS) + 1)
    if cold_start is not None:
        memory = cold_start.peak_memory_mb
        times = [f"{cold_start.median(part):.1f}" for part in _PARTS]
        times = [*times, "unknown" if memory is None else f"{memory:.0f}"]
    row = (
        f"{measurement.variant}, {configuration_name(measurement).split(',')[0]}",
        *times,
        f"{measurement.median / bench.identity_latency(measurement.threads).median:.1f}",
        "MACs unknown" if utilization is None else f"{utilization:.0%}",
        *(() if energy is None else (f"{1e6 * energy.joules:,.0f}",)),
    )
    return row + ("",) * (columns - len(row))
