"""The runs that are compared, and what each of them predicted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinysight.stats import Accuracy
from training.console import TrainingConsole
from training.data import Dataset
from training.models.macs import multiply_accumulates
from training.recipes import RECIPES, Recipe
from training.run_folder import History, Run, RunError, read_history
from training.tf_keras_setup import keras
from training.train import Job, train

COMPARED: dict[str, tuple[str, Recipe]] = {
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
"""By the name of the run folder: title and recipe."""


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A finished run with its predictions for the test images."""

    key: str
    """A key of `COMPARED`."""
    run: Run
    history: History
    predicted: NDArray[np.int64]
    """(n,), class indices, in the order of the test indices."""
    correct: NDArray[np.bool_]
    """(n,), whether each prediction is."""
    macs: int
    """Multiply-accumulates per image."""

    @property
    def title(self) -> str:
        return COMPARED[self.key][0]

    @property
    def accuracy(self) -> Accuracy:
        return Accuracy(int(self.correct.sum()), len(self.correct))


def run_all(
    dataset: Dataset, folder: Path, console: TrainingConsole, weights: Path | None
) -> list[ComparedRun]:
    """Trains what is not finished in `folder`, and reads all. Errors are those of `train`."""
    runs = []
    for key, (title, recipe) in COMPARED.items():
        console.print(f"{title}:")
        job = Job(recipe, dataset, folder / key, weights=weights, if_exists="resume")
        run = train(job, console)
        if run is None:
            raise RunError("compare does not work with several workers: train the runs first")
        runs.append(read(key, run, dataset))
        console.print(f"  test accuracy {runs[-1].accuracy} images")
    return runs


def read(key: str, run: Run, dataset: Dataset) -> ComparedRun:
    """A run's predictions; RunError when they are not for this data's test images."""
    if run.record.data.fingerprint != dataset.fingerprint:
        raise RunError(f"{run.folder} was trained on other data")
    targets = dataset.targets[dataset.parts["test"]]
    predicted = np.load(run.folder / "test_logits.npy").argmax(axis=1)
    macs = multiply_accumulates(keras.models.load_model(run.model_file))
    return ComparedRun(key, run, read_history(run.folder), predicted, predicted == targets, macs)


def pairs(runs: Sequence[ComparedRun]) -> list[tuple[ComparedRun, ComparedRun]]:
    """Every two runs, once."""
    return [(a, b) for i, a in enumerate(runs) for b in runs[i + 1 :]]
