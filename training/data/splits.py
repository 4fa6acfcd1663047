"""Training, validation and test images: seeded, stratified and hashed index sets."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinysight.integrity.data_split import hash_indices
from training.data.dataset import Dataset, Indices
from training.data.errors import DataError

FEW_TEST_IMAGES = 300
"""With fewer, the 95 % interval of an accuracy is wider than 5 points either way at 75 %."""


@dataclass(frozen=True, slots=True)
class Splits:
    """Three disjoint index sets into `Dataset.images`, each sorted, int64."""

    train: Indices
    val: Indices
    test: Indices

    def __post_init__(self) -> None:
        every = np.concatenate([self.train, self.val, self.test])
        if len(every) and every.min() < 0:  # a second name of an image
            raise ValueError("a split has a negative index")
        if len(np.unique(every)) != len(every):
            raise ValueError("the splits are not disjoint")

    def items(self) -> Iterator[tuple[str, Indices]]:
        yield from (("train", self.train), ("val", self.val), ("test", self.test))

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each index set, by name."""
        return {name: hash_indices(indices) for name, indices in self.items()}


def split(dataset: Dataset, seed: int, val_fraction: float = 0.2) -> Splits:
    """Divides the training part into training and validation, unless the data has both."""
    train, val = dataset.parts["train"], dataset.parts.get("val")
    if val is None:
        train, val = stratified(train, dataset.targets, val_fraction, seed, dataset.labels)
    return Splits(train, val, dataset.parts["test"])


def stratified(
    indices: Indices,
    targets: NDArray[np.int64],
    fraction: float,
    seed: int,
    labels: tuple[str, ...],
) -> tuple[Indices, Indices]:
    """Splits `fraction` of the indices off, class by class: returns the rest and the fraction.

    Raises DataError where a class is too small to be in both.
    """
    from sklearn.model_selection import train_test_split

    classes = targets[indices]
    counts = np.bincount(classes, minlength=len(labels))
    smallest = int(counts.argmin())
    try:
        rest, taken = train_test_split(
            indices, test_size=fraction, random_state=seed, stratify=classes
        )
    except ValueError:
        taken = rest = indices[:0]
    for side in (rest, taken):
        if len(np.unique(targets[side])) != len(labels):
            raise DataError(
                f"the class {labels[smallest]!r} has only {counts[smallest]} pictures: "
                f"too few to split {fraction:.0%} of each class off"
            )
    return np.sort(rest), np.sort(taken)
