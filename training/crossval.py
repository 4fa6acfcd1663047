"""Stratified cross-validation: a run for each fold, none of which uses the test images."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from tinysight.files import sole_writer_inside, write_bytes
from tinysight.records import to_json
from tinysight.stats import Accuracy
from training.data import DataError, Dataset, Splits
from training.distribute import is_chief
from training.matplotlib_setup import Figure
from training.progress import Progress
from training.train import Job, train


@dataclass(frozen=True, slots=True)
class Fold:
    """One finished run of a cross-validation."""

    number: int
    """Counted from 1."""
    seconds: float
    """Of its training."""
    validation: Accuracy


@dataclass(frozen=True, slots=True)
class Summary:
    """The content of crossval.json."""

    title: str
    folds: tuple[Fold, ...]

    DERIVED: ClassVar = ("mean", "deviation", "interval")

    @property
    def mean(self) -> float:
        """Of the validation accuracies, as a fraction."""
        return float(np.mean([fold.validation.value for fold in self.folds]))

    @property
    def deviation(self) -> float:
        """The sample standard deviation over the folds."""
        return float(np.std([fold.validation.value for fold in self.folds], ddof=1))

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, by Student's t over the folds.

        Somewhat too narrow, as folds share their training images: Bengio and Grandvalet (2004) show
        that no unbiased estimate of the variance exists.
        """
        from scipy.stats import t

        n = len(self.folds)
        half = float(t.ppf(0.975, n - 1)) * self.deviation / float(np.sqrt(n))
        return max(self.mean - half, 0.0), min(self.mean + half, 1.0)


def folds(dataset: Dataset, count: int, seed: int) -> Iterator[Splits]:
    """The splits of each fold; all but the test images are in one validation part each.

    Raises DataError where a class has fewer images than there are folds.
    """
    from sklearn.model_selection import StratifiedKFold

    parts = [dataset.parts[name] for name in ("train", "val") if name in dataset.parts]
    pool = np.sort(np.concatenate(parts))
    of_class = np.bincount(dataset.targets[pool], minlength=len(dataset.labels))
    if (least := int(of_class.min())) < count:
        raise DataError(
            f"{count} folds need {count} images of each class beside the test images: "
            f"{dataset.labels[int(of_class.argmin())]!r} has {least}"
        )
    cutter = StratifiedKFold(count, shuffle=True, random_state=seed)
    for rest, held_out in cutter.split(pool, dataset.targets[pool]):
        yield Splits(pool[rest], pool[held_out], test=pool[:0])


def cross_validate(job: Job, progress: Progress, *, count: int) -> Summary | None:
    """Trains a run for each fold into `job.out/fold-N`, and writes the table and the plot.

    Of several workers, only the chief writes and gets a summary. With `resume`, finished folds are
    kept and an interrupted one continues. Errors are those of `train`, and DataError where a class
    has too few images.
    """
    lock = sole_writer_inside(job.out) if is_chief() else contextlib.nullcontext()
    with lock:
        return _cross_validate(job, progress, count)


def _cross_validate(job: Job, progress: Progress, count: int) -> Summary | None:
    rows: list[Fold] = []
    for number, splits in enumerate(folds(job.dataset, count, job.recipe.seed), start=1):
        run = train(replace(job, out=job.out / f"fold-{number}", splits=splits), progress)
        if run is not None:
            rows.append(Fold(number, run.result.seconds.training, run.result.validation))
    if not is_chief():
        return None
    title = f"{job.recipe.model} on {job.dataset.title}, {count} folds"
    summary = Summary(title, tuple(rows))
    _write(job.out, summary)
    return summary


def _write(out: Path, summary: Summary) -> None:
    content = json.dumps(to_json(summary), indent=2) + "\n"
    write_bytes(out / "crossval.json", content.encode())
    write_bytes(out / "crossval.md", _markdown(summary).encode())
    _plot(summary, out / "crossval.png")


def _markdown(summary: Summary) -> str:
    low, high = summary.interval
    rows = [
        f"| {fold.number} | {fold.validation.value:.2%} | {fold.validation.n:,} "
        f"| {fold.seconds:.0f} |"
        for fold in summary.folds
    ]
    lines = [
        f"# {summary.title}",
        "",
        "| fold | validation accuracy | n | seconds |",
        "|--:|--:|--:|--:|",
        *rows,
        "",
        f"Mean {summary.mean:.2%}, standard deviation {summary.deviation:.2%}, "
        f"95 % interval {low:.2%} to {high:.2%} (Student's t over the folds).",
    ]
    return "\n".join(lines) + "\n"


def _plot(summary: Summary, path: Path) -> None:
    low, high = summary.interval
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    numbers = [fold.number for fold in summary.folds]
    axes.axhspan(100 * low, 100 * high, color="#1f5fbf", alpha=0.12, label="95 % interval")
    axes.axhline(100 * summary.mean, color="#1f5fbf", lw=1, label="mean")
    values = [100 * fold.validation.value for fold in summary.folds]
    axes.plot(numbers, values, "o", color="#d9822b", label="fold")
    axes.set_xticks(numbers)
    axes.set(xlabel="fold", ylabel="validation accuracy (%)", title=summary.title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
