"""`tinysight bench`: latency, cold start, memory and energy of bundles on this device."""

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tinysight.benchmark import sample_photo
from tinysight.benchmark.results import BenchmarkResult, BenchmarkSettings, Measurement
from tinysight.benchmark.results_io import as_text
from tinysight.benchmark.runner import bench
from tinysight.bundle import Bundle, load_bundle
from tinysight.cli.arguments import add_bundles, thread_counts
from tinysight.console import HelpFormatter, ProgressLine, numbers, positive, table
from tinysight.device import info
from tinysight.engines.registry import MAX_THREADS
from tinysight.errors import TinysightError

_PROCESS_SECONDS = 3.0
"""Of a process, besides the timed calls: its start, warming up, decoding, energy. An estimate."""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "bench",
        description="Measures every artifact of the bundles under every engine that is installed: "
        "latency at batch 1, interleaved and in several new processes; throughput by batch and "
        "threads; cold start and peak memory of a new process; decoding and resizing a photo; "
        "energy where the machine counts it. For reference it measures the identity model, the "
        "cost of a call, and the float32 peak of the core; it warns when the machine was busy, "
        "hot or unsteady.",
        epilog="examples:\n"
        "  tinysight bench\n"
        "  tinysight bench --bundle bundles/a bundles/b --data labelled/ --threads 1,2,4\n"
        "  tinysight bench --bundle bundles/a --json > here.json\n"
        "      # for tinysight select --from here.json and python -m benchmarks report here.json",
        formatter_class=HelpFormatter,
    )
    add_bundles(command)
    command.add_argument(
        "--data", type=Path, metavar="FOLDER",
        help="labelled images, FOLDER/<label>/* or FOLDER/test/<label>/*, to measure the accuracy "
        "on this device (default: the accuracy that each bundle recorded)",
    )  # fmt: skip
    command.add_argument(
        "--batches", type=numbers, default=(1, 8), metavar="N,…",
        help="numbers of images in one call, beside 1, each at least 1 (default: 1,8)",
    )  # fmt: skip
    command.add_argument(
        "--threads", type=thread_counts, metavar="N,…",
        help="numbers of threads for one call, each 1 to 64 (default: 1 and all cores)",
    )  # fmt: skip
    command.add_argument(
        "--runs", type=positive, default=2000, metavar="N",
        help="timed calls of each measurement, over all processes, at most; at least one for each "
        "process (default: 2000)",
    )  # fmt: skip
    command.add_argument(
        "--processes", type=positive, default=6, metavar="N",
        help="new processes that share the runs, at least 1; fewer than 6 give no confidence "
        "interval (default: 6)",
    )  # fmt: skip
    command.add_argument(
        "--min-duration", type=float, default=0.0, metavar="SECONDS",
        help="seconds over which the processes are spread with random pauses, at least; 0 never "
        "pauses (default: 0)",
    )  # fmt: skip
    command.add_argument(
        "--json", action="store_true", help="print all figures and raw samples as JSON"
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    bundles = [load_bundle(path) for path in args.bundles or [None]]
    try:
        settings = BenchmarkSettings(
            threads=args.threads or tuple(sorted({1, min(info.cores(), MAX_THREADS)})),
            batches=tuple(dict.fromkeys((1, *args.batches))),
            runs=args.runs,
            processes=args.processes,
            min_duration=args.min_duration,
        )
    except ValueError as error:
        raise TinysightError(str(error)) from None
    if sys.stderr.isatty():  # as all progress
        print(_announcement(bundles, settings), file=sys.stderr)
    counter = ProgressLine()
    result = bench(bundles, settings, args.data, command=_command(args), progress=counter)
    counter.clear()
    print(as_text(result) if args.json else "\n".join(_lines(result)))
    return 0


def _announcement(bundles: Sequence[Bundle], settings: BenchmarkSettings) -> str:
    """How long it takes: a number of artifacts, each at every batch and number of threads."""
    artifacts = sum(len(bundle.artifacts) for bundle in bundles)
    measurements = artifacts * len(settings.batches) * len(settings.threads)
    a_process = measurements * settings.seconds + _PROCESS_SECONDS
    total = max(settings.processes * a_process, settings.min_duration)
    return f"Measuring takes {total:.0f} s at most, the accuracy on --data aside."


def _command(args: argparse.Namespace) -> str:
    """What to type again. Folders of this machine are no part of it."""
    words = ["tinysight", "bench"]
    if args.bundles:
        words += ["--bundle", *(Path(path).name for path in args.bundles)]
    for option in ("batches", "threads"):
        if getattr(args, option) is not None:
            words += [f"--{option}", ",".join(map(str, getattr(args, option)))]
    words += ["--runs", str(args.runs), "--processes", str(args.processes)]
    if args.min_duration:
        words += ["--min-duration", f"{args.min_duration:g}"]
    if args.data is not None:
        words += ["--data", args.data.name]
    return shlex.join(words)


def _lines(result: BenchmarkResult) -> Iterator[str]:
    yield from _machine(result)
    settings = result.settings
    plural = "es" * (settings.processes > 1)
    yield (
        f"\nlatency at batch 1, in microseconds: up to {settings.runs:,} calls in "
        f"{settings.processes} new process{plural}"
    )
    header = _LATENCY if result.energy.measurements else _LATENCY[:-1]
    yield table(header, [_latency(result, one)[: len(header)] for one in result.single()])
    places = list(dict.fromkeys((one.threads, one.batch) for one in result.measurements))
    if len(places) > 1:
        yield "\nimages per second, by threads x batch"
        yield table(
            ("artifact", *(f"{threads} x {batch}" for threads, batch in places)),
            list(_throughput(result, places)),
        )
    yield "\ncold start: a new process until its first answer, in milliseconds"
    yield table(_COLD_START, list(_cold_starts(result)))
    yield f"\npreprocessing, in microseconds: {sample_photo.DESCRIPTION}"
    yield table(
        ("model", "decode", "crop and resize"),
        [
            (one.model, f"{one.decode.median_us:,.0f}", f"{one.resize.median_us:,.0f}")
            for one in result.preprocessing
        ],
    )
    yield "\n" + table(
        ("artifact", "KB", "accuracy (95 %)", "accuracy is"), list(_accuracies(result))
    )
    for warning in result.warnings:
        yield f"warning: {warning}"


def _machine(result: BenchmarkResult) -> Iterator[str]:
    device, before, after = result.device, result.before, result.after
    yield f"{device.cpu}, {device.cores} cores, {device.system}"
    yield f"  {', '.join(device.features) or 'none of the instruction sets that kernels use'}"
    yield "  " + ", ".join(f"{name} {version}" for name, version in result.versions.items())
    yield (
        f"  governor {device.governor or 'unknown'}; before and after: "
        f"clock {_both(before.clock_mhz, after.clock_mhz, ' MHz')}, "
        f"temperature {_both(before.temperature_c, after.temperature_c, ' C')}, "
        f"load {_both(before.load, after.load, '', 1)}"
    )
    identity = ", ".join(
        f"{one.median_us:.1f} us on {_threads(one.threads)}" for one in result.identity_latencies
    )
    yield f"  the identity model takes {identity}"
    peak = result.float32_peak
    cores = "one core" if peak.cores < 1.2 else f"{peak.cores:.1f} cores"
    yield f"  float32 peak: {peak.macs_per_us / 1e3:.1f} GMAC/s on {cores}, with {peak.backend}"
    idle = result.energy.idle_watts
    watts = "" if idle is None else f", {idle:.1f} W when idle"
    yield f"  energy: {result.energy.counter}{watts}"


def _both(before: float | None, after: float | None, unit: str, digits: int = 0) -> str:
    if before is None or after is None:
        return "unknown"
    return f"{before:.{digits}f} / {after:.{digits}f}{unit}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


_LATENCY = (
    "artifact", "threads", "median", "95 %", "p90", "p99", "x identity model",
    "float32 peak utilization", "energy",
)  # fmt: skip


def _latency(result: BenchmarkResult, measurement: Measurement) -> tuple[str, ...]:
    energy, interval = result.energy_of(measurement), measurement.interval_us
    identity = result.identity_latency(measurement.threads).median_us
    return (
        measurement.variant,
        str(measurement.threads),
        f"{measurement.median_us:.1f}",
        "too few" if interval is None else "{:.1f} to {:.1f}".format(*interval),
        _or(measurement.p90_us, "{:.1f}", "too few"),
        _or(measurement.p99_us, "{:.1f}", "too few"),
        f"{measurement.median_us / identity:.1f}",
        _or(result.peak_utilization(measurement), "{:.0%}", "MACs unknown"),
        "" if energy is None else f"{1e6 * energy.joules:,.0f} uJ",
    )


def _throughput(
    result: BenchmarkResult, places: Sequence[tuple[int, int]]
) -> Iterator[tuple[str, ...]]:
    by_key = {measurement.key: measurement for measurement in result.measurements}
    for variant in result.variants:
        measurements = [by_key[variant.key, *place] for place in places]
        yield (variant.key, *(f"{one.images_per_second:,.0f}" for one in measurements))


_COLD_START = (
    "artifact", "threads", "process", "import", "load", "first answer", "total", "peak MB",
)  # fmt: skip


def _cold_starts(result: BenchmarkResult) -> Iterator[tuple[str, ...]]:
    steps = ("process_ms", "import_ms", "load_ms", "first_answer_ms", "total_ms")
    for one in result.cold_starts:
        times = (f"{one.median_ms(step):.1f}" for step in steps)
        memory = _or(one.peak_memory_mb, "{:.0f}", "unknown")
        yield (one.variant, str(one.threads), *times, memory)


def _accuracies(result: BenchmarkResult) -> Iterator[tuple[str, ...]]:
    for variant in result.variants:
        accuracy = "no data given" if variant.accuracy is None else str(variant.accuracy)
        yield variant.key, f"{variant.bytes / 1000:.0f}", accuracy, variant.accuracy_source or ""


def _or(value: float | None, format_: str, otherwise: str) -> str:
    return otherwise if value is None else format_.format(value)
