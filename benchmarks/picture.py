"""Latency against accuracy as one picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.sweep import ENGINES, Measured, pareto_front

_MARKS = {"onnx": ("o", "#1f5fbf"), "tflite": ("s", "#d9822b")}


def draw(measured: Sequence[Measured], title: str, path: Path) -> None:
    """Each artifact at its median latency with its 95 % interval of accuracy, as PNG.

    The stepped line is the Pareto front: what lies below and to the right of it is slower and
    less accurate than something on it.
    """
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    axes = figure.subplots()
    front = pareto_front(measured)
    # The last step runs on to the slowest, so that a front of one artifact is a line too.
    slowest = max(entry.latency.median for entry in measured)
    axes.step(
        [*(entry.latency.median for entry in front), 1.1 * slowest],
        [100 * entry.accuracy.value for entry in (*front, front[-1])],
        where="post",
        color="#999999",
        lw=1.2,
        ls="--",
        zorder=1,
        label="Pareto front",
    )
    for format_ in sorted({entry.artifact.format for entry in measured}):
        mark, colour = _MARKS[format_]
        group = [entry for entry in measured if entry.artifact.format == format_]
        low, high = zip(*(entry.accuracy.interval for entry in group), strict=True)
        values = [entry.accuracy.value for entry in group]
        axes.errorbar(
            [entry.latency.median for entry in group],
            [100 * value for value in values],
            yerr=[
                [100 * (v - lo) for v, lo in zip(values, low, strict=True)],
                [100 * (hi - v) for v, hi in zip(values, high, strict=True)],
            ],
            fmt=mark,
            ms=8,
            color=colour,
            ecolor="#bbbbbb",
            capsize=3,
            zorder=2,
            label=ENGINES[format_],
        )
    several = len({entry.bundle for entry in measured}) > 1
    # Neighbours in latency get their names at different heights, so that both can be read.
    for place, entry in enumerate(sorted(measured, key=lambda m: m.latency.median)):
        axes.annotate(
            entry.name if several else entry.artifact.name,
            (entry.latency.median, 100 * entry.accuracy.value),
            textcoords="offset points",
            xytext=(9, 8 + 13 * (place % 3)),
            fontsize=8.5,
            color="#333333",
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(
        FuncFormatter(lambda value, _: f"{value:g}") if _narrow(measured) else NullFormatter()
    )
    axes.margins(x=0.18, y=0.15)
    axes.set_xlabel("median latency at batch 1, one thread (microseconds, log scale)")
    axes.set_ylabel("test accuracy (%, with 95 % interval)")
    axes.set_title(title, fontsize=11)
    axes.grid(alpha=0.25, which="both")
    axes.legend(loc="lower right", fontsize=9)
    figure.savefig(path, dpi=130)


def _narrow(measured: Sequence[Measured]) -> bool:
    """Less than a factor of eight: the powers of ten alone would leave the axis empty."""
    medians = [entry.latency.median for entry in measured]
    return max(medians) < 8 * min(medians)
