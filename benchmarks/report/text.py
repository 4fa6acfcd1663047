"""The text around the charts: names of devices and configurations, metadata, the methodology."""

from collections.abc import Sequence

from benchmarks.sweep.result import SweepResult
from tinysight.benchmark.results import BenchmarkResult, Measurement


def display_name(key: str) -> str:
    """A model variant's key as a person reads it."""
    return key.replace("@", " · ")


def configuration_name(measurement: Measurement) -> str:
    """Threads and batch size, "2 threads, batch 8"."""
    return f"{_threads(measurement.threads)}, batch {measurement.batch}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def cpu(result: SweepResult) -> str:
    return result.device.cpu


def device_name(result: SweepResult, results: Sequence[SweepResult]) -> str:
    """The CPU; with the date, and if need be a number, where another result has the same one."""
    alike = [other for other in results if cpu(other) == cpu(result)]
    if len(alike) == 1:
        return cpu(result)
    minute = result.measured[:16].replace("T", " ")
    same_time = [other for other in alike if other.measured[:16] == result.measured[:16]]
    number = f" ({[other is result for other in same_time].index(True) + 1})"
    return f"{cpu(result)}, {minute}" + (number if len(same_time) > 1 else "")


def subtitle(results: Sequence[SweepResult]) -> str:
    data = results[0].data
    calls = sum(len(p) for r in results for m in r.measurements for p in m.samples_ns)
    parts = [
        " and ".join(dict.fromkeys(cpu(result) for result in results)),
        " and ".join(dict.fromkeys(result.measured[:10] for result in results)),
        f"{data.title}, {len(data.targets):,} test images" if data else _accuracy_from(results[0]),
        f"{calls:,} timed calls",
    ]
    return " · ".join(parts)


def _accuracy_from(result: SweepResult) -> str:
    """Where the accuracies are from, when there are no answers to single images."""
    on_device = result.benchmark is not None and any(
        variant.accuracy_source == "measured" for variant in result.variants
    )
    return "accuracy measured on the device" if on_device else "accuracy as exported"


def summary_cards(result: SweepResult) -> list[tuple[str, str]]:
    """The figures that one looks for first, each with what it is."""
    fastest = result.base[0]
    cards = [(f"{fastest.median_us:.1f} µs", f"fastest: {display_name(fastest.variant)}")]
    accuracies = {v.key: v.accuracy.value for v in result.variants if v.accuracy is not None}
    if accuracies:
        best = max(accuracies, key=lambda key: accuracies[key])
        cards.append((f"{100 * accuracies[best]:.2f} %", f"most accurate: {display_name(best)}"))
    smallest = min(result.variants, key=lambda variant: variant.bytes)
    cards.append((f"{smallest.bytes / 1000:,.0f} KB", f"smallest: {display_name(smallest.key)}"))
    most = max(result.measurements, key=lambda measurement: measurement.images_per_second)
    cards.append(
        (
            f"{most.images_per_second:,.0f}/s",
            f"highest throughput: {display_name(most.variant)}, {configuration_name(most)}",
        )
    )
    return cards


def metadata(result: SweepResult) -> list[tuple[str, str]]:
    """Device, versions and data, as pairs of a name and a value."""
    device = result.device
    pairs = [
        ("measured", result.measured.replace("T", " ")),
        ("CPU", f"{device.cpu}, {device.cores} cores"),
        ("instructions", ", ".join(device.features) or "unknown"),
        ("CPU governor", device.governor or "unknown"),
        ("memory", f"{device.memory_mb:,} MB" if device.memory_mb else "unknown"),
        ("system", device.system),
    ]
    if result.benchmark is not None:
        pairs += _machine_state(result.benchmark)
    pairs += sorted(result.versions.items())
    if result.data:
        pairs.append(("data", f"{result.data.title} ({result.data.fingerprint[:12]})"))
    return pairs


def _machine_state(benchmark: BenchmarkResult) -> list[tuple[str, str]]:
    """What only the device itself can tell."""
    identity_latencies = ", ".join(
        f"{latency.median_us:.1f} µs on {_threads(latency.threads)}"
        for latency in benchmark.identity_latencies
    )
    peak = benchmark.float32_peak
    cores = "one core" if peak.cores < 1.2 else f"{peak.cores:.1f} cores"
    before, after = benchmark.before, benchmark.after
    pairs = []
    for name, first, last, unit in (
        ("clock", before.clock_mhz, after.clock_mhz, " MHz"),
        ("temperature", before.temperature_c, after.temperature_c, " °C"),
        ("load", before.load, after.load, ""),
    ):
        if first is not None and last is not None:
            pairs.append((name, f"{first:.1f}{unit} before, {last:.1f}{unit} after"))
    pairs += [
        ("identity model", identity_latencies),
        ("float32 peak", f"{peak.macs_per_us / 1e3:.1f} GMAC/s on {cores}, {peak.backend}"),
        ("energy", benchmark.energy.counter),
    ]
    return pairs + [("warning", warning) for warning in benchmark.warnings]


def methodology(results: Sequence[SweepResult]) -> str:
    """How the first result was measured, in sentences."""
    settings = results[0].settings
    interval = (
        "The median is that of the processes' medians, and its interval lies between two of these, "
        "chosen so that it holds at least 95 % whatever the distribution is."
        if settings.processes >= 6
        else "Fewer than six processes give no interval."
    )
    spread = f", spread over at least {settings.min_duration:g} s" if settings.min_duration else ""
    return (
        f"Every artifact was timed in {settings.processes} fresh processes{spread}: at most "
        f"{settings.runs:,} calls in all, and {settings.seconds:g} s in each process. Within "
        "a process the artifacts are interleaved in short series of calls; warm-up, and the first "
        f"calls of every series, are discarded. {interval} A percentile is given where at least "
        "ten calls lie beyond it. Accuracy has Wilson's 95 % interval."
    )
