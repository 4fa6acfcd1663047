"""`tinysight bench`: what bundles cost on this device, and what they are worth."""

import argparse
import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tinysight.benchmark import sample_photo
from tinysight.benchmark.results import BenchmarkResult, Measurement
from tinysight.benchmark.runner import Settings, bench
from tinysight.bundle import load_bundle
from tinysight.console import ProgressLine, numbers, positive, table
from tinysight.device import info
from tinysight.errors import TinysightError


def add(commands: Any) -> None:
    command = commands.add_parser(
        "bench",
        help="measure bundles on this device",
        description="Measures every artifact of the bundles under every engine that is installed: "
        "the way of a fresh process to its first answer, and its peak memory; the latency of one "
        "image, in turns and in several processes one after the other, with every warm-up thrown "
        "away; images a second by batch and threads; what decoding a photo costs before it; energy "
        "where the machine counts it. Beside it stand what no model can beat, an empty graph and "
        "the core's arithmetic, and what the machine was doing meanwhile.",
        epilog="examples:\n"
        "  tinysight bench\n"
        "  tinysight bench bundles/a bundles/b --data labelled/ --threads 1,2,4\n"
        "  tinysight bench bundles/a --json > here.json    # tinysight select --from here.json;\n"
        "                                                  # python -m benchmarks report here.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "bundles", nargs="*", help="their folders (default: edge_m, shipped as edge_s is)"
    )
    command.add_argument(
        "--data", type=Path, help="labelled images, to measure the accuracy: DATA/<label>/* or "
        "DATA/test/<label>/* (default: what each bundle recorded)",
    )  # fmt: skip
    command.add_argument(
        "--batches", type=numbers, default=(1, 8), help="images in one call, beside 1 (1,8)"
    )
    command.add_argument(
        "--threads", type=numbers, help="cores for one call (1, and all that there are)"
    )
    command.add_argument(
        "--samples", type=positive, default=2000, help="timed calls each, at most (2000)"
    )
    command.add_argument(
        "--passes", type=positive, default=6,
        help="processes that share these calls (6); fewer than 6 give no interval",
    )  # fmt: skip
    command.add_argument(
        "--json", action="store_true", help="all of it with the raw samples, as JSON"
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    bundles = [load_bundle(path) for path in args.bundles or [None]]
    try:
        settings = Settings(
            threads=args.threads or tuple(sorted({1, info.cores()})),
            batches=tuple(dict.fromkeys((1, *args.batches))),
            calls=args.samples,
            passes=args.passes,
        )
    except ValueError as error:
        raise TinysightError(str(error)) from None
    counter = ProgressLine()
    result = bench(bundles, settings, args.data, command=_command(args), progress=counter)
    counter.clear()
    print(json.dumps(result.as_json(), allow_nan=False) if args.json else "\n".join(_lines(result)))
    return 0


def _command(args: argparse.Namespace) -> str:
    """What to type again. Folders of this machine are no part of it."""
    words = ["tinysight", "bench", *(Path(path).name for path in args.bundles)]
    for option in ("batches", "threads"):
        if getattr(args, option) is not None:
            words += [f"--{option}", ",".join(map(str, getattr(args, option)))]
    words += ["--samples", str(args.samples), "--passes", str(args.passes)]
    if args.data is not None:
        words += ["--data", args.data.name]
    return shlex.join(words)


def _lines(result: BenchmarkResult) -> Iterator[str]:
    yield from _machine(result)
    settings = result.settings
    yield (
        f"\none image at a time, in microseconds: up to {settings['calls']:,} calls in "
        f"{settings['passes']} fresh process" + "es" * (settings["passes"] > 1)
    )
    header = _LATENCY if result.energies else _LATENCY[:-1]
    yield table(
        header, [_latency(result, measurement)[: len(header)] for measurement in result.single()]
    )
    places = list(
        dict.fromkeys(
            (measurement.threads, measurement.batch) for measurement in result.measurements
        )
    )
    if len(places) > 1:
        yield "\nimages a second, by threads x batch"
        yield table(
            ("artifact", *(f"{threads} x {batch}" for threads, batch in places)),
            list(_throughput(result, places)),
        )
    yield "\na fresh process on its way to the first answer, in milliseconds"
    yield table(_START, list(_starts(result)))
    yield f"\nbefore the engine, in microseconds: {sample_photo.WHAT}"
    yield table(
        ("model", "decode", "crop and resize"),
        [
            (one.model, f"{one.decode.median:,.0f}", f"{one.resize.median:,.0f}")
            for one in result.preprocessing
        ],
    )
    yield "\n" + table(("artifact", "KB", "accuracy (95 %)", ""), list(_worth(result)))
    for warning in result.warnings:
        yield f"warning: {warning}"


def _machine(result: BenchmarkResult) -> Iterator[str]:
    described, before, after = result.device, result.before, result.after
    yield f"{described['cpu']}, {described['cores']} cores, {described['system']}"
    yield f"  {', '.join(described['features']) or 'no instruction set that matters here'}"
    yield "  " + ", ".join(f"{name} {number}" for name, number in result.versions.items())
    yield (
        f"  governor {described['governor'] or 'not told'}; before and after: "
        f"clock {_twice(before, after, 'clock_mhz', 'MHz')}, "
        f"temperature {_twice(before, after, 'temperature_c', 'C')}, "
        f"load {_twice(before, after, 'load', '', 1)}"
    )
    empty = ", ".join(
        f"{f.median:.1f} us on {_threads(f.threads)}" for f in result.identity_latencies
    )
    yield f"  an empty graph takes {empty}"
    peak = result.peak
    cores = "one core" if peak.cores < 1.2 else f"{peak.cores:.1f} cores"
    yield f"  float32 arithmetic: {peak.macs_per_us / 1e3:.1f} GMAC/s on {cores}, by {peak.backend}"
    watts = "" if result.idle_watts is None else f", {result.idle_watts:.1f} W when idle"
    yield f"  energy: {result.counter}{watts}"


def _twice(before: Any, after: Any, name: str, unit: str, digits: int = 0) -> str:
    if before[name] is None or after[name] is None:
        return "not told"
    return f"{before[name]:.{digits}f} / {after[name]:.{digits}f} {unit}".rstrip()


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


_LATENCY = (
    "artifact", "threads", "median", "95 %", "p90", "p99", "x empty graph", "of float32 peak",
    "energy",
)  # fmt: skip


def _latency(result: BenchmarkResult, measurement: Measurement) -> tuple[str, ...]:
    share, energy = result.peak_utilization(measurement), result.energy(measurement)
    return (
        measurement.variant,
        str(measurement.threads),
        f"{measurement.median:.1f}",
        "too few"
        if measurement.interval is None
        else "{:.1f} to {:.1f}".format(*measurement.interval),
        *(
            _or(measurement.latency.percentile(percent), "{:.1f}", "too few")
            for percent in (90, 99)
        ),
        f"{measurement.median / result.identity_latency(measurement.threads).median:.1f}",
        _or(share, "{:.0%}", "work unknown"),
        "" if energy is None else f"{1e6 * energy.joules:,.0f} uJ",
    )


def _throughput(
    result: BenchmarkResult, places: Sequence[tuple[int, int]]
) -> Iterator[tuple[str, ...]]:
    by_place = {measurement.place: measurement for measurement in result.measurements}
    for variant in result.variants:
        measurements = [by_place[variant.key, *place] for place in places]
        yield (
            variant.key,
            *(f"{measurement.images_per_second:,.0f}" for measurement in measurements),
        )


_START = ("artifact", "threads", "process", "import", "load", "first answer", "all", "peak MB")


def _starts(result: BenchmarkResult) -> Iterator[tuple[str, ...]]:
    parts = ("process_ms", "import_ms", "load_ms", "first_answer_ms", "total_ms")
    for one in result.starts:
        times = (f"{one.median(part):.1f}" for part in parts)
        memory = _or(one.peak_memory_mb, "{:.0f}", "unknown")
        yield (one.variant, str(one.threads), *times, memory)


def _worth(result: BenchmarkResult) -> Iterator[tuple[str, ...]]:
    for variant in result.variants:
        accuracy = "no data given" if variant.accuracy is None else str(variant.accuracy)
        yield variant.key, f"{variant.bytes / 1000:.0f}", accuracy, variant.accuracy_from or ""


def _or(value: float | None, shape: str, otherwise: str) -> str:
    return otherwise if value is None else shape.format(value)
