"""What an entrant answers to the test images."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.sweep.targets import Target
from tinysight.device import info
from tinysight.errors import TinysightError
from training.data import Dataset

BATCH = 100


def check(target: Target, dataset: Dataset) -> None:
    """Raises TinysightError when the data is not what the entrant was made for."""
    if set(target.labels) != set(dataset.labels):
        raise TinysightError(
            f"{target.model} knows {', '.join(target.labels[:5])}, …; "
            f"{dataset.title} has {', '.join(dataset.labels[:5])}, …"
        )
    if target.shape != dataset.images.shape[1:3]:
        raise TinysightError(f"{target.model} takes another image size than {dataset.title} has")


def answers(
    target: Target, dataset: Dataset, progress: Callable[[int, int], None]
) -> NDArray[np.int64]:
    """The class of every test image, int64 (n,), as an index of the data's labels."""
    run = target.open(info.cores())
    # The same classes may stand in another order.
    theirs = np.array([dataset.labels.index(label) for label in target.labels])
    test = dataset.parts["test"]
    found = np.empty(len(test), dtype=np.int64)
    for start in range(0, len(test), BATCH):
        rows = test[start : start + BATCH]
        found[start : start + BATCH] = theirs[run(np.asarray(dataset.images[rows])).argmax(axis=1)]
        progress(start, len(test))
    return found
