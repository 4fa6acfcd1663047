"""The accuracy of finished runs, each and together, as they would teach."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tinysight.stats import Accuracy
from training.data import Dataset, split
from training.distillation.teacher import Teacher
from training.finalize import predict
from training.progress import ProgressCallback
from training.test_time_augmentation import TestTimeAugmentation, augmented
from training.tf_keras_setup import keras

Part = Literal["val", "test"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One row of the result."""

    name: str
    """Of a run's folder; or "mean of logits" of all."""
    accuracy: Accuracy


def evaluate(
    runs: Sequence[Teacher],
    dataset: Dataset,
    part: Part,
    augmentation: TestTimeAugmentation,
    on_progress: ProgressCallback,
) -> list[Evaluation]:
    """Evaluates each run in float32, and the mean of their logits where there are several.

    Raises:
        RunError: a run was trained on other data, or on another split of it.
    """
    recipe = runs[0].run.record.recipe
    splits = split(dataset, recipe.data_seed, recipe.val_fraction)
    indices = getattr(splits, part)
    targets = dataset.targets[indices]
    rows, total = [], np.zeros((len(indices), len(dataset.labels)), np.float32)
    for one in runs:
        one.check(dataset, splits)
        model = augmented(keras.models.load_model(one.run.model_file), augmentation)
        name = one.run.folder.resolve().name
        logits = predict(model, dataset.images, indices, on_progress, f"evaluating {name}")
        rows.append(Evaluation(name, _accuracy(logits, targets)))
        total += logits
    if len(runs) > 1:
        rows.append(Evaluation("mean of logits", _accuracy(total, targets)))
    return rows


def _accuracy(logits: NDArray[np.float32], targets: NDArray[np.int64]) -> Accuracy:
    return Accuracy(int((logits.argmax(axis=1) == targets).sum()), len(targets))
