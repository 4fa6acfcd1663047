"""What only a device's own result has: cold starts, memory, preparation, energy."""

from collections.abc import Sequence
from typing import Any

from benchmarks.report.text import cell_name
from tinysight.benchmark import sample_photo
from tinysight.benchmark.results import BenchmarkResult, Measurement

_PARTS = ("process_ms", "import_ms", "load_ms", "first_answer_ms", "total_ms")


def device_side(bench: BenchmarkResult) -> dict[str, Any]:
    """For the page: warnings, and a table with a row for each cell at batch 1."""
    return {
        "warnings": list(bench.warnings),
        "header": header(bench),
        "rows": rows(bench),
        "preparation": preparation(bench),
    }


def header(bench: BenchmarkResult) -> tuple[str, ...]:
    starts = ("process", "import", "load", "first answer", "all, ms", "peak MB")
    energy = ("µJ",) if bench.energies else ()
    return ("artifact", *starts, "× empty", "of peak", *energy)


def rows(bench: BenchmarkResult) -> list[tuple[str, ...]]:
    """The quickest first."""
    return [_row(bench, measurement) for measurement in bench.single()]


def preparation(bench: BenchmarkResult) -> str:
    """A sentence on what comes before the engine."""
    costs = "; ".join(
        f"for {one.model} {one.decode.median / 1e3:.1f} ms to decode and "
        f"{one.resize.median / 1e3:.1f} ms to crop and resize"
        for one in bench.preprocessing
    )
    return f"Before the engine comes the picture: {sample_photo.WHAT}, takes {costs}."


def _row(bench: BenchmarkResult, measurement: Measurement) -> tuple[str, ...]:
    start, share, energy = (
        bench.start(measurement),
        bench.peak_utilization(measurement),
        bench.energy(measurement),
    )
    times: Sequence[str] = [""] * 6
    if start is not None:
        memory = start.peak_memory_mb
        times = [f"{start.median(part):.1f}" for part in _PARTS]
        times = [*times, "unknown" if memory is None else f"{memory:.0f}"]
    row = (
        f"{measurement.variant}, {cell_name(measurement).split(',')[0]}",
        *times,
        f"{measurement.median / bench.identity_latency(measurement.threads).median:.1f}",
        "work unknown" if share is None else f"{share:.0%}",
        *(() if energy is None else (f"{1e6 * energy.joules:,.0f}",)),
    )
    return row + ("",) * (len(header(bench)) - len(row))
