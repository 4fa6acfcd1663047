"""Who takes part, and what each of them answered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.stats import Accuracy
from training.data import Dataset
from training.models.macs import multiply_accumulates
from training.progress import Progress
from training.recipes import RECIPES, Recipe
from training.run_folder import Run, RunError, load_run, read_record
from training.tf_keras_setup import keras
from training.train import train

CONTESTANTS: dict[str, tuple[str, Recipe]] = {
    "baseline": ("Small CNN", RECIPES["baseline"]),
    "vgg16_frozen_unit": (
        "VGG16 frozen, pixels in [0, 1]",
        replace(RECIPES["vgg16_frozen"], preprocessing="unit"),
    ),
    "vgg16_frozen_imagenet": (
        "VGG16 frozen, its own preprocessing",
        replace(RECIPES["vgg16_frozen"], preprocessing="imagenet"),
    ),
    "vgg16_finetuned": ("VGG16 fine-tuned", RECIPES["vgg16_finetuned"]),
}
"""By the name of the run folder: what a reader is told, and how it is trained."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished run with its answers to the test images."""

    key: str
    title: str
    record: dict[str, Any]
    history: list[dict[str, float]]
    answers: NDArray[np.int64]
    """(n,), in the order of the test indices."""
    right: NDArray[np.bool_]
    """(n,), which of them are correct."""
    work: int
    """Multiply-accumulates for one image."""

    @property
    def accuracy(self) -> Accuracy:
        return Accuracy(int(self.right.sum()), len(self.right))


def run_all(
    dataset: Dataset, runs: Path, progress: Progress, say: Any, weights: Path | None
) -> list[Entry]:
    """Trains what is not finished in `runs`, and reads all. Errors are those of `train`."""
    entries = []
    for key, (title, recipe) in CONTESTANTS.items():
        say(f"{title}:")
        run = _finished(runs / key, recipe)
        if run is None:
            run = train(recipe, dataset, runs / key, progress, weights=weights, resume=True)
        if run is None:
            raise RunError("compare does not work with several workers: train the runs first")
        entries.append(read(key, title, run, dataset))
        say(f"  {entries[-1].accuracy} test images right")
    return entries


def read(key: str, title: str, run: Run, dataset: Dataset) -> Entry:
    """A run's answers; RunError when they are not to this data's test images."""
    if run.record["data"]["fingerprint"] != dataset.fingerprint:
        raise RunError(f"{run.folder} was trained on other data")
    targets = dataset.targets[dataset.parts["test"]]
    answers = np.load(run.folder / "test_logits.npy").argmax(axis=1)
    history = _history(run.folder / "history.csv")
    work = multiply_accumulates(keras.models.load_model(run.model_file))
    return Entry(key, title, run.record, history, answers, answers == targets, work)


def _finished(folder: Path, recipe: Recipe) -> Run | None:
    """A run that ended here before, by the same recipe."""
    if not (folder / "run.json").is_file() or read_record(folder)["status"] != "finished":
        return None
    run = load_run(folder)
    if Recipe(**run.record["recipe"]) != recipe:
        raise RunError(f"{folder} was trained by another recipe: remove it, or name other --runs")
    return run


def _history(path: Path) -> list[dict[str, float]]:
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    names = header.split(",")
    return [dict(zip(names, map(float, line.split(",")), strict=True)) for line in lines]


def pairs(entries: Sequence[Entry]) -> list[tuple[Entry, Entry]]:
    """Every two entries, once."""
    return [(a, b) for i, a in enumerate(entries) for b in entries[i + 1 :]]
