"""The words around the pictures: names of devices and cells, facts, how it was measured."""

from collections.abc import Sequence

from benchmarks.sweep.result import Result
from tinysight.benchmark.results import BenchmarkResult, Measurement


def display_name(key: str) -> str:
    """An entry's key as a person reads it."""
    return key.replace("@", " · ")


def cell_name(measurement: Measurement) -> str:
    return f"{_threads(measurement.threads)}, batch {measurement.batch}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def device_name(result: Result, results: Sequence[Result]) -> str:
    """The CPU; with the date, and if need be a number, where another result has the same one."""
    cpu = str(result.device["cpu"])
    alike = [other for other in results if other.device["cpu"] == cpu]
    if len(alike) == 1:
        return cpu
    day = result.measured[:16].replace("T", " ")
    same_time = [other for other in alike if other.measured[:16] == result.measured[:16]]
    number = f" ({[other is result for other in same_time].index(True) + 1})"
    return f"{cpu}, {day}" + (number if len(same_time) > 1 else "")


def subtitle(results: Sequence[Result]) -> str:
    first = results[0]
    data = first.data
    parts = [
        " and ".join(dict.fromkeys(str(result.device["cpu"]) for result in results)),
        " and ".join(dict.fromkeys(result.measured[:10] for result in results)),
        f"{data.title}, {len(data.targets):,} test images" if data else _worth(first),
        f"{sum(len(p) for r in results for c in r.measurements for p in c.passes):,} timed calls",
    ]
    return " · ".join(parts)


def _worth(result: Result) -> str:
    """Where the accuracies are from, when there are no answers to single images."""
    here = result.bench is not None and any(
        variant.accuracy_from == "measured here" for variant in result.bench.variants
    )
    return "accuracy measured there" if here else "accuracy as exported"


def summary_cards(result: Result) -> list[tuple[str, str]]:
    """The figures that one looks for first."""
    measurements = result.base
    found = [
        (
            f"{measurements[0].median:.1f} µs",
            f"the quickest: {display_name(measurements[0].variant)}",
        )
    ]
    rated = [variant for variant in result.variants if variant.accuracy is not None]
    if rated:
        best = max(rated, key=lambda variant: variant.accuracy.value if variant.accuracy else 0)
        value = best.accuracy.value if best.accuracy else 0
        found.append((f"{100 * value:.2f} %", f"the most accurate: {display_name(best.key)}"))
    small = min(result.variants, key=lambda variant: variant.bytes)
    found.append((f"{small.bytes / 1000:,.0f} KB", f"the smallest: {display_name(small.key)}"))
    most = max(result.measurements, key=lambda measurement: measurement.images_per_second)
    found.append(
        (
            f"{most.images_per_second:,.0f}/s",
            f"the most images: {display_name(most.variant)}, {cell_name(most)}",
        )
    )
    return found


def metadata(result: Result) -> list[tuple[str, str]]:
    device = result.device
    found = [
        ("measured", result.measured.replace("T", " ")),
        ("CPU", f"{device['cpu']}, {device['cores']} cores"),
        ("instructions", ", ".join(device.get("features") or ()) or "unknown"),
        ("clock governor", str(device.get("governor") or "not told")),
        ("memory", f"{device['memory_mb']:,} MB" if device.get("memory_mb") else "not told"),
        ("system", str(device["system"])),
    ]
    if result.bench is not None:
        found += _state(result.bench)
    found += [(package, version) for package, version in sorted(result.versions.items())]
    if result.data:
        found.append(("data", f"{result.data.title} ({result.data.fingerprint[:12]})"))
    return found


def _state(bench: BenchmarkResult) -> list[tuple[str, str]]:
    """What only the device itself can tell."""
    identity_latencies = ", ".join(
        f"{f.median:.1f} µs on {_threads(f.threads)}" for f in bench.identity_latencies
    )
    cores = "one core" if bench.peak.cores < 1.2 else f"{bench.peak.cores:.1f} cores"
    found = []
    for what, name, unit in (
        ("clock", "clock_mhz", " MHz"),
        ("temperature", "temperature_c", " °C"),
        ("load", "load", ""),
    ):
        before, after = bench.before[name], bench.after[name]
        if before is not None and after is not None:
            found.append((what, f"{before:.1f}{unit} before, {after:.1f}{unit} after"))
    found += [
        ("empty graph", identity_latencies),
        (
            "float32 arithmetic",
            f"{bench.peak.macs_per_us / 1e3:.1f} GMAC/s on {cores}, by {bench.peak.backend}",
        ),
        ("energy", bench.counter),
    ]
    return found + [("warning", warning) for warning in bench.warnings]


def methodology(results: Sequence[Result]) -> str:
    settings = results[0].settings
    passes = int(settings["passes"])
    interval = (
        "The median is that of the passes' medians, and its interval lies between two of these, "
        "chosen so that it holds at least 95 % whatever the distribution is."
        if passes >= 6
        else "Fewer than six passes give no interval."
    )
    spread = float(settings.get("spread", 0))
    strewn = f", strewn over {spread:g} s or more" if spread else ""
    return (
        f"Every artifact was timed in {passes} passes, each in a fresh process{strewn}: at most "
        f"{settings['calls']:,} calls in all, and {settings['seconds']} s in each pass. Within a "
        "pass the artifacts take turns in short bursts; warm-up, and the first calls of every "
        f"burst, are thrown away. {interval} A percentile is given where at least ten calls lie "
        "beyond it. Accuracy has Wilson's 95 % interval."
    )
