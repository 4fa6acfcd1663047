"""Latency against accuracy as one picture."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.sweep.result import Result, front
from tinysight.benchmark.results import Cell

_MARKS = "osD^vP*X"
_COLOURS = ("#1f5fbf", "#d9822b", "#2f8f5b", "#a04fb0", "#b8423e", "#4c8f9d", "#8a6d3b", "#666666")


def draw(result: Result, path: Path) -> None:
    """Each entry at its median latency, with both 95 % intervals, as PNG.

    The stepped line is the Pareto front: what lies below and to the right of it is slower and
    less accurate than something on it.
    """
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    axes = figure.subplots()
    worth = {e.key: e.accuracy for e in result.entries if e.accuracy is not None}
    cells = [cell for cell in result.base if cell.entry in worth]
    best = front(result, cells)
    # The last step runs on to the slowest, so that a front of one entry is a line too.
    slowest = max(cell.median for cell in cells)
    axes.step(
        [*(cell.median for cell in best), 1.1 * slowest],
        [100 * worth[cell.entry].value for cell in (*best, best[-1])],
        where="post",
        color="#999999",
        lw=1.2,
        ls="--",
        zorder=1,
        label="Pareto front",
    )
    engines = sorted({result.entry(cell.entry).engine for cell in cells})
    for number, engine in enumerate(engines):
        group = [cell for cell in cells if result.entry(cell.entry).engine == engine]
        for cell in group:
            accuracy, (left, right) = worth[cell.entry], cell.interval or (cell.median,) * 2
            low, high = accuracy.interval
            axes.errorbar(
                cell.median,
                100 * accuracy.value,
                xerr=[[cell.median - left], [right - cell.median]],
                yerr=[[100 * (accuracy.value - low)], [100 * (high - accuracy.value)]],
                fmt=_MARKS[number % len(_MARKS)],
                ms=8,
                color=_COLOURS[number % len(_COLOURS)],
                ecolor="#bbbbbb",
                capsize=3,
                zorder=2,
                label=engine if cell is group[0] else None,
            )
    several = len({result.entry(cell.entry).model for cell in cells}) > 1
    crowded = len(cells) > 12
    if crowded:
        named = list(_quickest_of_each_model(result, cells)) if several else best
    else:
        named = cells
    for place, cell in enumerate(named):
        entry = result.entry(cell.entry)
        names = (entry.model,) if crowded and several else (entry.model, entry.recipe)
        axes.annotate(
            "/".join(names if several else names[1:]),
            (cell.median, 100 * worth[cell.entry].value),
            textcoords="offset points",
            # Neighbours in latency get their names at different heights, so that both can be read.
            xytext=(9, 8 + 13 * (place % (2 if crowded else 3))),
            fontsize=8.5,
            color="#333333",
        )
    axes.set_xscale("log")
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_major_formatter(plain)
    axes.xaxis.set_minor_formatter(plain if _narrow(cells) else NullFormatter())
    axes.margins(x=0.18, y=0.15)
    threads = f"{cells[0].threads} thread{'s' * (cells[0].threads > 1)}"
    axes.set_xlabel(
        f"median latency at batch {cells[0].batch}, {threads} (microseconds, log scale)"
    )
    axes.set_ylabel("test accuracy (%, with 95 % interval)")
    title = "Latency against accuracy" + (f", {result.data.title}" if result.data else "")
    axes.set_title(title, fontsize=11)
    axes.grid(alpha=0.25, which="both")
    axes.legend(loc="best", fontsize=9)
    figure.savefig(path, dpi=130)


def _quickest_of_each_model(result: Result, cells: Sequence[Cell]) -> Iterator[Cell]:
    """What a crowded picture names: `cells` come the quickest first."""
    seen = set()
    for cell in cells:
        model = result.entry(cell.entry).model
        if model not in seen:
            seen.add(model)
            yield cell


def _narrow(cells: list[Cell]) -> bool:
    """Less than a factor of eight: the powers of ten alone would leave the axis empty."""
    medians = [cell.median for cell in cells]
    return max(medians) < 8 * min(medians)
