"""Stratified cross-validation: as many runs as folds, none of which looks at the test images."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tinysight.files import write_bytes
from training.data import Dataset, Splits
from training.progress import Progress
from training.recipes import Recipe
from training.train import train


@dataclass(frozen=True, slots=True)
class Summary:
    """The validation accuracies of all folds, as fractions."""

    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        return float(np.mean(self.accuracies))

    @property
    def deviation(self) -> float:
        """The sample standard deviation over the folds."""
        return float(np.std(self.accuracies, ddof=1))

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, by Student's t over the folds. It is somewhat too narrow, as folds share their
        training images: Bengio and Grandvalet (2004) show that no estimate is free of that."""
        from scipy.stats import t

        n = len(self.accuracies)
        half = float(t.ppf(0.975, n - 1)) * self.deviation / float(np.sqrt(n))
        return self.mean - half, self.mean + half


def folds(dataset: Dataset, count: int, seed: int) -> Iterator[Splits]:
    """The splits of each fold: all but the test images, every one validated once."""
    from sklearn.model_selection import StratifiedKFold

    parts = [dataset.parts[name] for name in ("train", "val") if name in dataset.parts]
    pool = np.sort(np.concatenate(parts))
    cutter = StratifiedKFold(count, shuffle=True, random_state=seed)
    for rest, held_out in cutter.split(pool, dataset.targets[pool]):
        yield Splits(pool[rest], pool[held_out], test=pool[:0])


def cross_validate(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    progress: Progress,
    *,
    count: int,
    weights: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Summary:
    """Trains a run for each fold into `out/fold-N`, and writes the table and the picture.

    With `resume`, finished folds are kept and a broken one goes on. Errors are those of `train`.
    """
    rows: list[dict[str, Any]] = []
    for number, splits in enumerate(folds(dataset, count, recipe.seed), start=1):
        run = train(
            recipe,
            dataset,
            out / f"fold-{number}",
            progress,
            splits=splits,
            weights=weights,
            resume=resume,
            overwrite=overwrite,
        )
        if run is not None:
            seconds = run.record["seconds"]["training"]
            rows.append({"fold": number, "seconds": seconds, **run.record["validation"]})
    summary = Summary(tuple(row["value"] for row in rows))
    title = f"{recipe.model} on {dataset.title}, {count} folds"
    _write(out, title, rows, summary)
    return summary


def _write(out: Path, title: str, rows: list[dict[str, Any]], summary: Summary) -> None:
    low, high = summary.interval
    figures = {"mean": summary.mean, "deviation": summary.deviation, "interval": [low, high]}
    content = {"title": title, "folds": rows, **figures}
    write_bytes(out / "crossval.json", (json.dumps(content, indent=2) + "\n").encode())
    lines = [f"# {title}", "", "| fold | validation accuracy | n | seconds |", "|--:|--:|--:|--:|"]
    lines += [
        f"| {row['fold']} | {row['value']:.2%} | {row['n']:,} | {row['seconds']:.0f} |"
        for row in rows
    ]
    lines += [
        "",
        f"Mean {summary.mean:.2%}, standard deviation {summary.deviation:.2%}, "
        f"95 % interval {low:.2%} to {high:.2%} (Student's t over the folds).",
    ]
    write_bytes(out / "crossval.md", ("\n".join(lines) + "\n").encode())
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    values = [100 * value for value in summary.accuracies]
    axes.axhspan(100 * low, 100 * high, color="#1f5fbf", alpha=0.12, label="95 % interval")
    axes.axhline(100 * summary.mean, color="#1f5fbf", lw=1, label="mean")
    axes.plot(range(1, len(values) + 1), values, "o", color="#d9822b", label="fold")
    axes.set_xticks(range(1, len(values) + 1))
    axes.set(xlabel="fold", ylabel="validation accuracy (%)", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(out / "crossval.png", dpi=120)
