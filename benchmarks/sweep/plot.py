"""Latency against accuracy as one picture."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.sweep.result import Result, front
from tinysight.benchmark.results import Measurement

_MARKS = "osD^vP*X"
_COLOURS = ("#1f5fbf", "#d9822b", "#2f8f5b", "#a04fb0", "#b8423e", "#4c8f9d", "#8a6d3b", "#666666")


def draw(result: Result, path: Path) -> None:
    """Each entry at its median latency, with both 95 % intervals, as PNG.

    The stepped line is the Pareto front: what lies below and to the right of it is slower and
    less accurate than something on it.
    """
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    axes = figure.subplots()
    worth = {e.key: e.accuracy for e in result.variants if e.accuracy is not None}
    measurements = [measurement for measurement in result.base if measurement.variant in worth]
    best = front(result, measurements)
    # The last step runs on to the slowest, so that a front of one entry is a line too.
    slowest = max(measurement.median for measurement in measurements)
    axes.step(
        [*(measurement.median for measurement in best), 1.1 * slowest],
        [100 * worth[measurement.variant].value for measurement in (*best, best[-1])],
        where="post",
        color="#999999",
        lw=1.2,
        ls="--",
        zorder=1,
        label="Pareto front",
    )
    engines = sorted({result.variant(measurement.variant).engine for measurement in measurements})
    for number, engine in enumerate(engines):
        group = [
            measurement
            for measurement in measurements
            if result.variant(measurement.variant).engine == engine
        ]
        for measurement in group:
            accuracy, (left, right) = (
                worth[measurement.variant],
                measurement.interval or (measurement.median,) * 2,
            )
            low, high = accuracy.interval
            axes.errorbar(
                measurement.median,
                100 * accuracy.value,
                xerr=[[measurement.median - left], [right - measurement.median]],
                yerr=[[100 * (accuracy.value - low)], [100 * (high - accuracy.value)]],
                fmt=_MARKS[number % len(_MARKS)],
                ms=8,
                color=_COLOURS[number % len(_COLOURS)],
                ecolor="#bbbbbb",
                capsize=3,
                zorder=2,
                label=engine if measurement is group[0] else None,
            )
    several = len({result.variant(measurement.variant).model for measurement in measurements}) > 1
    crowded = len(measurements) > 12
    if crowded:
        named = list(_quickest_of_each_model(result, measurements)) if several else best
    else:
        named = measurements
    for place, measurement in enumerate(named):
        variant = result.variant(measurement.variant)
        names = (variant.model,) if crowded and several else (variant.model, variant.recipe)
        axes.annotate(
            "/".join(names if several else names[1:]),
            (measurement.median, 100 * worth[measurement.variant].value),
            textcoords="offset points",
            # Neighbours in latency get their names at different heights, so that both can be read.
            xytext=(9, 8 + 13 * (place % (2 if crowded else 3))),
            fontsize=8.5,
            color="#333333",
        )
    axes.set_xscale("log")
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_major_formatter(plain)
    axes.xaxis.set_minor_formatter(plain if _narrow(measurements) else NullFormatter())
    axes.margins(x=0.18, y=0.15)
    threads = f"{measurements[0].threads} thread{'s' * (measurements[0].threads > 1)}"
    axes.set_xlabel(
        f"median latency at batch {measurements[0].batch}, {threads} (microseconds, log scale)"
    )
    axes.set_ylabel("test accuracy (%, with 95 % interval)")
    title = "Latency against accuracy" + (f", {result.data.title}" if result.data else "")
    axes.set_title(title, fontsize=11)
    axes.grid(alpha=0.25, which="both")
    axes.legend(loc="best", fontsize=9)
    figure.savefig(path, dpi=130)


def _quickest_of_each_model(
    result: Result, measurements: Sequence[Measurement]
) -> Iterator[Measurement]:
    """What a crowded picture names: `measurements` come the quickest first."""
    seen = set()
    for measurement in measurements:
        model = result.variant(measurement.variant).model
        if model not in seen:
            seen.add(model)
            yield measurement


def _narrow(measurements: list[Measurement]) -> bool:
    """Less than a factor of eight: the powers of ten alone would leave the axis empty."""
    medians = [measurement.median for measurement in measurements]
    return max(medians) < 8 * min(medians)
