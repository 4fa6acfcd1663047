"""The pictures of the comparison."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from training.compare.runs import Entry
from training.data import Dataset

STRIP = 12


def draw_curves(entries: Sequence[Entry], path: Path) -> None:
    """Validation accuracy over training time, which is what a user waits for."""
    figure = Figure(figsize=(8.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for entry in entries:
        spent = np.cumsum([row["seconds"] for row in entry.history])
        features = entry.record["seconds"]["training"] - spent[-1]
        values = [100 * row["val_accuracy"] for row in entry.history]
        axes.plot((spent + features) / 60, values, marker="o", ms=3, label=entry.title)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set(xlabel="minutes of training, features included (log)", ylabel="validation (%)")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=9)
    figure.savefig(path, dpi=110)


def draw_confusions(entries: Sequence[Entry], dataset: Dataset, path: Path) -> None:
    """One confusion matrix an entry, in percent of the true class, on one scale."""
    truth = dataset.targets[dataset.parts["test"]]
    n = len(dataset.labels)
    columns = min(2, len(entries))
    rows = -(-len(entries) // columns)
    figure = Figure(figsize=(5.4 * columns, 5 * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for place, entry in zip(axes, entries, strict=False):
        counts = np.zeros((n, n))
        np.add.at(counts, (truth, entry.answers), 1)
        percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        place.imshow(percent, cmap="Blues", vmin=0, vmax=100)
        place.set_title(f"{entry.title}: {entry.accuracy.value:.1%}", fontsize=10)
        place.set_xticks(range(n), dataset.labels, rotation=60, ha="right", fontsize=8)
        place.set_yticks(range(n), dataset.labels, fontsize=8)
        if n <= 20:
            for row, column in np.argwhere(percent >= 2):
                value = percent[row, column]
                colour = "white" if value > 50 else "black"
                place.text(
                    column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=colour
                )
    for place in axes[len(entries) :]:
        place.axis("off")
    figure.supxlabel("answered", fontsize=9)
    figure.supylabel("true", fontsize=9)
    figure.savefig(path, dpi=80)


def draw_strip(winner: Entry, loser: Entry, dataset: Dataset, path: Path) -> None:
    """Test images that one gets right and the other does not, evenly over all such images."""
    rows = [
        (winner, loser, np.flatnonzero(winner.right & ~loser.right)),
        (loser, winner, np.flatnonzero(loser.right & ~winner.right)),
    ]
    test = dataset.parts["test"]
    figure = Figure(figsize=(1.05 * STRIP, 3.7), layout="constrained")
    grid = figure.add_gridspec(2, 1)
    for place, (right, wrong, found) in enumerate(rows):
        part = figure.add_subfigure(grid[place, 0])
        part.suptitle(
            f"{right.title}: right; {wrong.title}: wrong ({len(found):,} images)",
            fontsize=9, weight="bold", x=0.01, ha="left",
        )  # fmt: skip
        chosen = found[np.linspace(0, len(found) - 1, min(STRIP, len(found))).astype(int)]
        line = part.subplots(1, STRIP)
        for axes in line:
            axes.axis("off")
        for axes, index in zip(line, chosen, strict=False):
            axes.imshow(dataset.images[test[index]], interpolation="nearest")
            truth = dataset.labels[dataset.targets[test[index]]]
            axes.set_title(f"{truth}\nnot {dataset.labels[wrong.answers[index]]}", fontsize=6.5)
    figure.savefig(path, dpi=100)
