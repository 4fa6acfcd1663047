"""Accuracy against what it costs, as a picture: latency, and multiply-accumulates."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.sweep.published import DATA, PUBLISHED
from benchmarks.sweep.result import SweepResult, measurements_on_pareto_front
from tinysight.benchmark.results import Measurement
from tinysight.stats import Accuracy
from training.matplotlib_setup import Axes, ErrorbarContainer, Figure, Text, ticker

_MARKERS = "osD^vP*X"
_COLOURS = ("#1f5fbf", "#d9822b", "#2f8f5b", "#a04fb0", "#b8423e", "#4c8f9d", "#8a6d3b", "#666666")
_CROWDED = 12
"""Above so many points, not all are named."""
_LEAST_ACCURACY = 0.85
"""Of a model beside the published ones, which lie within five points."""
_PANEL_INCHES = (8.0, 5.2)
_LABEL_ITERATIONS = 400
"""Of adjustText, which else stops by the clock, and draws another picture every time."""


def draw(result: SweepResult, path: Path) -> None:
    """Each variant at its median latency, with both 95 % intervals, as PNG.

    The stepped line is the Pareto front: what lies below and to the right of it is slower and
    less accurate than something on it. On CIFAR-10, a second panel shows the models by their
    multiply-accumulates beside published ones.
    """
    panels = 2 if result.data is not None and result.data.title == DATA else 1
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(panels * width, height), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    texts = [_latency_panel(axes[0], result)]
    if panels == 2:
        texts.append(_macs_panel(axes[1], result))
    # Placed last: the layout must know all that it is to keep clear of.
    figure.draw_without_rendering()
    for one, named in zip(axes, texts, strict=True):
        _place(one, named)
    figure.savefig(path, dpi=130)


def _latency_panel(axes: Axes, result: SweepResult) -> list[Text]:
    accuracies = {v.key: v.accuracy for v in result.variants if v.accuracy is not None}
    measurements = [one for one in result.base if one.variant in accuracies]
    front = measurements_on_pareto_front(result, measurements)
    _draw_front(axes, front, accuracies, max(one.median_us for one in measurements))
    engines = sorted({result.variant(one.variant).engine for one in measurements})
    for number, engine in enumerate(engines):
        group = [one for one in measurements if result.variant(one.variant).engine == engine]
        _draw_engine(axes, engine, number, group, accuracies)
    texts = _latency_names(axes, result, measurements, front, accuracies)
    plain = ticker.FuncFormatter(lambda value, _: f"{value:g}")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(plain)
    axes.xaxis.set_minor_formatter(plain if _is_narrow(measurements) else ticker.NullFormatter())
    threads = f"{measurements[0].threads} thread{'s' * (measurements[0].threads > 1)}"
    axes.set_xlabel(
        f"median latency at batch {measurements[0].batch}, {threads} (microseconds, log scale)"
    )
    title = "Latency against accuracy" + (f", {result.data.title}" if result.data else "")
    _finish(axes, title)
    return texts


def _macs_panel(axes: Axes, result: SweepResult) -> list[Text]:
    """Each accurate model by its fastest artifact, and what others have published."""
    texts: list[Text] = []
    for measurement in _fastest_of_each_model(result, result.base):
        variant = result.variant(measurement.variant)
        if variant.macs is None or variant.accuracy is None:
            continue
        if variant.accuracy.value < _LEAST_ACCURACY:
            continue
        low, high = variant.accuracy.interval
        x, y = variant.macs / 1e6, 100 * variant.accuracy.value
        axes.errorbar(
            x,
            y,
            yerr=[[y - 100 * low], [100 * high - y]],
            fmt="o",
            ms=8,
            color=_COLOURS[0],
            ecolor="#bbbbbb",
            capsize=3,
            label=None if texts else "as measured on the left",
        )
        texts.append(_name(axes, f"{variant.model}/{variant.recipe}", x, y))
    axes.plot(
        [point.mmacs for point in PUBLISHED],
        [point.accuracy for point in PUBLISHED],
        "o",
        mfc="white",
        mec="#666666",
        ms=8,
        label="published, float32",
    )
    texts += [_name(axes, point.name, point.mmacs, point.accuracy) for point in PUBLISHED]
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    # matplotlib's own is a formula, which `training.matplotlib_setup` does not have parsed.
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    axes.set_xlabel("million multiply-accumulates for one image (log scale)")
    _finish(
        axes, f"Multiply-accumulates against accuracy, models of {_LEAST_ACCURACY:.0%} and more"
    )
    return texts


def _finish(axes: Axes, title: str) -> None:
    axes.margins(x=0.14, y=0.1)
    axes.set_ylabel("test accuracy (%, with 95 % interval)")
    axes.set_title(title, fontsize=11)
    axes.grid(alpha=0.25, which="both")
    axes.legend(loc="best", fontsize=9)


def _name(axes: Axes, text: str, x: float, y: float) -> Text:
    return axes.text(x, y, text, fontsize=8.5, color="#333333")


def _place(axes: Axes, texts: Sequence[Text]) -> None:
    """Moves names off the points and off each other, and ties each to its point."""
    from adjustText import adjust_text  # here, since it imports matplotlib, which is to be set up

    bars = [bar.lines[0] for bar in axes.containers if isinstance(bar, ErrorbarContainer)]
    measured = [np.asarray(bar.get_xydata(), np.float64) for bar in bars]
    x, y = np.concatenate([[text.get_position() for text in texts], *measured]).T
    adjust_text(
        texts,
        x,
        y,
        ax=axes,
        objects=[axes.get_legend()],
        expand=(1.2, 1.7),
        arrowprops={"arrowstyle": "-", "color": "#999999", "lw": 0.7},
        iter_lim=_LABEL_ITERATIONS,
    )


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


def _latency_names(
    axes: Axes,
    result: SweepResult,
    measurements: Sequence[Measurement],
    front: Sequence[Measurement],
    accuracies: Mapping[str, Accuracy],
) -> list[Text]:
    """The names of the points; of a crowd, the fastest of each model, or the front of one."""
    several = len({result.variant(one.variant).model for one in measurements}) > 1
    crowded = len(measurements) > _CROWDED
    named = measurements
    if crowded:
        named = list(_fastest_of_each_model(result, measurements)) if several else front
    texts = []
    for measurement in named:
        variant = result.variant(measurement.variant)
        names = (variant.model,) if crowded and several else (variant.model, variant.recipe)
        text = "/".join(names if several else names[1:])
        y = 100 * accuracies[measurement.variant].value
        texts.append(_name(axes, text, measurement.median_us, y))
    return texts


def _fastest_of_each_model(
    result: SweepResult, measurements: Sequence[Measurement]
) -> Iterator[Measurement]:
    """`measurements` come the fastest first."""
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
