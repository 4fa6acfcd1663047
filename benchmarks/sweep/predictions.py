"""The classes that a target predicts for the test images."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.sweep.targets import Target
from tinysight.device import info
from tinysight.errors import TinysightError
from training.data import Dataset

BATCH = 100


def require_fitting(target: Target, dataset: Dataset) -> None:
    """Raises TinysightError when the data has other labels or another image size."""
    model = target.variant.model
    if set(target.labels) != set(dataset.labels):
        raise TinysightError(
            f"{model} knows {', '.join(target.labels[:5])}, …; "
            f"{dataset.title} has {', '.join(dataset.labels[:5])}, …"
        )
    if target.shape != dataset.images.shape[1:3]:
        raise TinysightError(f"{model} takes another image size than {dataset.title} has")


def predict(
    target: Target, dataset: Dataset, progress: Callable[[int, int], None]
) -> NDArray[np.int64]:
    """The class of every test image, int64 (n,), as an index of the data's labels."""
    run = target.open(info.cores())
    # The same classes may stand in another order.
    data_index = np.array([dataset.labels.index(label) for label in target.labels])
    test = dataset.parts["test"]
    predicted = np.empty(len(test), dtype=np.int64)
    for start in range(0, len(test), BATCH):
        rows = test[start : start + BATCH]
        logits = run(np.asarray(dataset.images[rows]))
        predicted[start : start + BATCH] = data_index[logits.argmax(axis=1)]
        progress(start, len(test))
    return predicted
