"""The plots of the comparison."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.compare.runs import ComparedRun
from training.data import Dataset
from training.matplotlib_setup import Figure

STRIP = 12
"""Images in a row."""


def draw_curves(runs: Sequence[ComparedRun], path: Path) -> None:
    """Validation accuracy over training time."""
    figure = Figure(figsize=(8.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for run in runs:
        spent = np.cumsum([row["seconds"] for row in run.history])
        features = run.run.result.seconds.training - spent[-1]
        values = [100 * row["val_accuracy"] for row in run.history]
        axes.plot((spent + features) / 60, values, marker="o", ms=3, label=run.title)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter("")  # by default formulas, which are not parsed
    axes.set(xlabel="minutes of training, features included (log)", ylabel="validation (%)")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=9)
    figure.savefig(path, dpi=110)


def draw_confusions(runs: Sequence[ComparedRun], dataset: Dataset, path: Path) -> None:
    """A confusion matrix for each run, in percent of the true class, on one scale."""
    truth = dataset.targets[dataset.parts["test"]]
    n = len(dataset.labels)
    columns = min(2, len(runs))
    rows = -(-len(runs) // columns)
    figure = Figure(figsize=(5.4 * columns, 5 * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for place, run in zip(axes, runs, strict=False):
        counts = np.zeros((n, n))
        np.add.at(counts, (truth, run.predicted), 1)
        percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        place.imshow(percent, cmap="Blues", vmin=0, vmax=100)
        place.set_title(f"{run.title}: {run.accuracy.value:.1%}", fontsize=10)
        place.set_xticks(range(n), dataset.labels, rotation=60, ha="right", fontsize=8)
        place.set_yticks(range(n), dataset.labels, fontsize=8)
        if n <= 20:
            for row, column in np.argwhere(percent >= 2):
                value = percent[row, column]
                colour = "white" if value > 50 else "black"
                place.text(
                    column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=colour
                )
    for place in axes[len(runs) :]:
        place.axis("off")
    figure.supxlabel("predicted", fontsize=9)
    figure.supylabel("true", fontsize=9)
    figure.savefig(path, dpi=80)


def draw_strip(first: ComparedRun, second: ComparedRun, dataset: Dataset, path: Path) -> None:
    """Test images that one model classifies correctly and the other does not, evenly sampled."""
    rows = [
        (first, second, np.flatnonzero(first.correct & ~second.correct)),
        (second, first, np.flatnonzero(second.correct & ~first.correct)),
    ]
    test = dataset.parts["test"]
    figure = Figure(figsize=(1.05 * STRIP, 3.7), layout="constrained")
    grid = figure.add_gridspec(2, 1)
    for place, (right, wrong, found) in enumerate(rows):
        part = figure.add_subfigure(grid[place, 0])
        part.suptitle(
            f"{right.title} correct, {wrong.title} wrong ({len(found):,} images)",
            fontsize=9, weight="bold", x=0.01, ha="left",
        )  # fmt: skip
        chosen = found[np.linspace(0, len(found) - 1, min(STRIP, len(found))).astype(int)]
        line = part.subplots(1, STRIP)
        for axes in line:
            axes.axis("off")
        for axes, index in zip(line, chosen, strict=False):
            axes.imshow(dataset.images[test[index]], interpolation="nearest")
            truth = dataset.labels[dataset.targets[test[index]]]
            axes.set_title(f"{truth}\nnot {dataset.labels[wrong.predicted[index]]}", fontsize=6.5)
    figure.savefig(path, dpi=100)
