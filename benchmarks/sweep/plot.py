"""Latency against accuracy as one plot."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.sweep.result import SweepResult, measurements_on_pareto_front
from tinysight.benchmark.results import Measurement
from tinysight.stats import Accuracy
from training.matplotlib_setup import Axes, Figure, ticker

_MARKERS = "osD^vP*X"
_COLOURS = ("#1f5fbf", "#d9822b", "#2f8f5b", "#a04fb0", "#b8423e", "#4c8f9d", "#8a6d3b", "#666666")
_CROWDED = 12
"""Above so many points, not all are named."""


def draw(result: SweepResult, path: Path) -> None:
    """Each variant at its median latency, with both 95 % intervals, as PNG.

    The stepped line is the Pareto front: what lies below and to the right of it is slower and
    less accurate than something on it.
    """
    accuracies = {v.key: v.accuracy for v in result.variants if v.accuracy is not None}
    measurements = [one for one in result.base if one.variant in accuracies]
    front = measurements_on_pareto_front(result, measurements)
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    axes = figure.subplots()
    _draw_front(axes, front, accuracies, max(one.median_us for one in measurements))
    engines = sorted({result.variant(one.variant).engine for one in measurements})
    for number, engine in enumerate(engines):
        group = [one for one in measurements if result.variant(one.variant).engine == engine]
        _draw_engine(axes, engine, number, group, accuracies)
    _name_points(axes, result, measurements, front, accuracies)
    axes.set_xscale("log")
    plain = ticker.FuncFormatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_major_formatter(plain)
    axes.xaxis.set_minor_formatter(plain if _is_narrow(measurements) else ticker.NullFormatter())
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


def _draw_front(
    axes: Axes, front: Sequence[Measurement], accuracies: Mapping[str, Accuracy], slowest_us: float
) -> None:
    # The last step runs on to the slowest, so that a front of one variant is a line too.
    axes.step(
        [*(one.median_us for one in front), 1.1 * slowest_us],
        [100 * accuracies[one.variant].value for one in (*front, front[-1])],
        where="post",
        color="#999999",
        lw=1.2,
        ls="--",
        zorder=1,
        label="Pareto front",
    )


def _draw_engine(
    axes: Axes,
    engine: str,
    number: int,
    measurements: Sequence[Measurement],
    accuracies: Mapping[str, Accuracy],
) -> None:
    for measurement in measurements:
        accuracy, median = accuracies[measurement.variant], measurement.median_us
        left, right = measurement.interval_us or (median, median)
        low, high = accuracy.interval
        axes.errorbar(
            median,
            100 * accuracy.value,
            xerr=[[median - left], [right - median]],
            yerr=[[100 * (accuracy.value - low)], [100 * (high - accuracy.value)]],
            fmt=_MARKERS[number % len(_MARKERS)],
            ms=8,
            color=_COLOURS[number % len(_COLOURS)],
            ecolor="#bbbbbb",
            capsize=3,
            zorder=2,
            label=engine if measurement is measurements[0] else None,
        )


def _name_points(
    axes: Axes,
    result: SweepResult,
    measurements: Sequence[Measurement],
    front: Sequence[Measurement],
    accuracies: Mapping[str, Accuracy],
) -> None:
    several = len({result.variant(one.variant).model for one in measurements}) > 1
    crowded = len(measurements) > _CROWDED
    named = measurements
    if crowded:
        named = list(_fastest_of_each_model(result, measurements)) if several else front
    for place, measurement in enumerate(named):
        variant = result.variant(measurement.variant)
        names = (variant.model,) if crowded and several else (variant.model, variant.recipe)
        axes.annotate(
            "/".join(names if several else names[1:]),
            (measurement.median_us, 100 * accuracies[measurement.variant].value),
            textcoords="offset points",
            # Neighbours in latency get their names at different heights, so that both can be read.
            xytext=(9, 8 + 13 * (place % (2 if crowded else 3))),
            fontsize=8.5,
            color="#333333",
        )


def _fastest_of_each_model(
    result: SweepResult, measurements: Sequence[Measurement]
) -> Iterator[Measurement]:
    """What a crowded plot names: `measurements` come the fastest first."""
    seen = set()
    for measurement in measurements:
        model = result.variant(measurement.variant).model
        if model not in seen:
            seen.add(model)
            yield measurement


def _is_narrow(measurements: Sequence[Measurement]) -> bool:
    """Less than a factor of eight: the powers of ten alone would leave the axis empty."""
    medians = [measurement.median_us for measurement in measurements]
    return max(medians) < 8 * min(medians)
