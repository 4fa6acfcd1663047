"""Charts that need no script: latency distributions, latency by layer, two results side by side.

Colours are the page's own variables, so that a chart follows the reader's light or dark theme.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from benchmarks.report.text import display_name
from tinysight.benchmark.results import Measurement

WIDTH = 1040
LEFT = 300
RIGHT = 24
ROW = 36
_BINS = 160


def _svg(height: float, parts: Iterable[str], label: str) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def _text(x: float, y: float, text: str, *, kind: str = "", anchor: str = "start") -> str:
    attributes = f'x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}"'
    return f"<text {attributes}>{escape(text)}</text>"


def _log_scale(low: float, high: float) -> Callable[[float], float]:
    span = math.log(high / low) or 1
    return lambda value: LEFT + (WIDTH - LEFT - RIGHT) * math.log(value / low) / span


def ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten in [low, high]."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [d * 10.0**p for p in powers for d in (1, 2, 5) if low <= d * 10.0**p <= high]


def _axis(scale: Callable[[float], float], low: float, high: float, height: float) -> list[str]:
    parts = []
    for tick in ticks(low, high):
        x = scale(tick)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height:.0f}" class="grid"/>')
        parts.append(_text(x, height + 18, f"{tick:g}", kind="tick", anchor="middle"))
    parts.append(
        _text(WIDTH - RIGHT, height + 36, "microseconds, log scale", kind="tick", anchor="end")
    )
    return parts


def distributions(measurements: Sequence[Measurement], colour: Callable[[str], int]) -> Markup:
    """A histogram of all timed calls, a row for each measurement, on one logarithmic axis.

    Args:
        measurements: fastest first.
        colour: the number of a series colour, by the measurement's model variant.
    """
    samples = [measurement.latency.samples_ns / 1e3 for measurement in measurements]
    low = 0.92 * min(float(s.min()) for s in samples)
    # One call in a thousand may wait for another process: it would squeeze all else to the left.
    high = 1.05 * max(min(float(np.percentile(s, 99.5)), 4 * float(np.median(s))) for s in samples)
    scale = _log_scale(low, high)
    height = len(measurements) * ROW + 6
    parts = _axis(scale, low, high, height)
    for number, measurement in enumerate(measurements):
        base = (number + 1) * ROW
        variant = measurement.variant
        title = f"{variant}: median {measurement.median_us:.1f} µs"
        parts += [
            f'<g class="s{colour(variant)}"><title>{escape(title)}</title>'
            f'<polygon class="area" points="{_histogram(samples[number], low, high, base)}"/></g>',
            *_percentiles(measurement, low, high, base),
            _text(LEFT - 12, base - 6, display_name(variant), kind="label", anchor="end"),
        ]
    return _svg(height + 42, parts, "latency distributions")


def _histogram(times: NDArray[np.float64], low: float, high: float, base: float) -> str:
    """The outline of a histogram, as the points of a polygon on the line y = `base`."""
    scale = _log_scale(low, high)
    edges = np.geomspace(low, high, _BINS + 1)
    counts, _ = np.histogram(times, edges)
    # The square root keeps a thin tail in sight beside a sharp peak.
    heights = (ROW - 8) * np.sqrt(counts / max(1, counts.max()))
    points = " ".join(
        f"{scale(math.sqrt(a * b)):.1f},{base - y:.1f}"
        for a, b, y in zip(edges[:-1], edges[1:], heights, strict=True)
    )
    return f"{scale(low):.1f},{base} {points} {scale(high):.1f},{base}"


def _percentiles(measurement: Measurement, low: float, high: float, base: float) -> list[str]:
    """Vertical lines at the median, p90 and p99, where they lie between low and high."""
    scale = _log_scale(low, high)
    lines = []
    for percent, kind in ((50, "median"), (90, "tail"), (99, "tail")):
        value = measurement.latency.percentile_us(percent)
        if value is not None and low < value < high:
            x = scale(value)
            lines.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{base - ROW + 8}" y2="{base}" '
                f'class="{kind}"><title>p{percent} {value:.1f} µs</title></line>'
            )
    return lines


def dumbbells(names: Sequence[str], first: Sequence[float], second: Sequence[float]) -> Markup:
    """Two medians in microseconds for each name, joined by a line, on a logarithmic axis."""
    low, high = 0.85 * min(*first, *second), 1.18 * max(*first, *second)
    scale = _log_scale(low, high)
    height = len(names) * ROW + 6
    parts = _axis(scale, low, high, height)
    for number, (name, a, b) in enumerate(zip(names, first, second, strict=True)):
        y = (number + 0.6) * ROW
        parts.append(
            f'<line x1="{scale(a):.1f}" x2="{scale(b):.1f}" y1="{y}" y2="{y}" class="joint"/>'
        )
        for value, series, which in ((a, 1, "first"), (b, 2, "second")):
            parts.append(
                f'<circle cx="{scale(value):.1f}" cy="{y}" r="6" class="s{series} dot">'
                f"<title>{escape(name)}, {which}: {value:.1f} µs</title></circle>"
            )
        parts.append(_text(LEFT - 12, y + 4, display_name(name), kind="label", anchor="end"))
    return _svg(height + 42, parts, "two results side by side")


def bars(names: Sequence[str], series: Sequence[tuple[str, Sequence[float | None]]]) -> Markup:
    """Latencies in microseconds, a group of bars for each name and a bar for each series."""
    longest = max((v for _, values in series for v in values if v is not None), default=1.0)
    thickness, gap = 12, 8
    group = thickness * len(series) + gap
    parts = []
    for number, name in enumerate(names):
        top = number * group
        middle = top + (group - gap) / 2
        parts.append(_text(LEFT - 12, middle + 4, name, kind="label", anchor="end"))
        for which, (title, values) in enumerate(series):
            value = values[number]
            if value is None:
                continue
            length = (WIDTH - LEFT - 110) * value / longest
            y = top + which * thickness
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{max(length, 1):.1f}" height="{thickness - 2}" '
                f'rx="2" class="s{which + 1} bar"><title>{escape(name)}, {escape(title)}: '
                f"{value:.1f} µs</title></rect>"
            )
            parts.append(_text(LEFT + length + 6, y + thickness - 3, f"{value:.1f}", kind="tick"))
    return _svg(group * len(names), parts, "latency by layer")
