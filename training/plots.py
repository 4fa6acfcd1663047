"""The plots of a run, drawn without a display."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.matplotlib_setup import Figure
from training.run_folder import History


def draw_curves(history: History, title: str, path: Path) -> None:
    """Loss and accuracy of each epoch, on training and validation images, as PNG."""
    epochs = range(1, len(history) + 1)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for key, label in ((metric, "training"), (f"val_{metric}", "validation")):
            axes.plot(epochs, [row[key] for row in history], marker="o", ms=3, label=label)
        axes.set(xlabel="epoch", ylabel=metric)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=120)


def draw_confusion(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    labels: tuple[str, ...],
    title: str,
    path: Path,
) -> None:
    """The confusion matrix, in percent of the true class, as PNG.

    Args:
        truth: int64 (n,), class indices.
        predicted: int64 (n,), class indices.
        labels: by class index.
        title: of the plot.
        path: of the file.
    """
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(counts, (truth, predicted), 1)
    percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(3 + 0.45 * len(labels), 30)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    ticks = range(len(labels))
    axes.set_xticks(ticks, labels, rotation=45, ha="right")
    axes.set_yticks(ticks, labels)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    if len(labels) <= 30:  # more would be illegible
        for row, column in np.argwhere(percent >= 0.5):
            value = percent[row, column]
            axes.text(
                column,
                row,
                f"{value:.0f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if value > 50 else "black",
            )
    figure.colorbar(image, ax=axes, shrink=0.8, label="% of the true class")
    figure.savefig(path, dpi=120)
