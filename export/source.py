"""What an export starts from: a finished run, and the data that it was trained on."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from training.data import Dataset, Splits, split
from training.run_folder import Run

CALIBRATION_IMAGES = 512


@dataclass(frozen=True)
class ExportSource:
    """A run with its data, its splits, and the images that calibrate."""

    run: Run
    dataset: Dataset
    splits: Splits
    calibration: NDArray[np.int64]
    """Indices of training images, sorted."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the images."""
        height, width = self.dataset.images.shape[1:3]
        return height, width

    @cached_property
    def model_sha256(self) -> str:
        """Of the run's model file."""
        return hashlib.sha256(self.run.model_file.read_bytes()).hexdigest()

    def images(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Images by index, uint8 (n, height, width, 3)."""
        return np.asarray(self.dataset.images[indices])


def open_source(run: Run, dataset: Dataset) -> ExportSource:
    """A run with the splits that it was trained by.

    Raises:
        ExportError: this is not the data, or not the splits, that the run used.
    """
    recipe, recorded = run.record.recipe, run.record.data
    if dataset.fingerprint != recorded.fingerprint:
        raise ExportError(
            f"{dataset.source} is not the data that {run.folder} was trained on "
            "(other pixels, classes or order)"
        )
    splits = split(dataset, recipe.data_seed, recipe.val_fraction)
    for part, sha256 in splits.hashes().items():
        if getattr(recorded.splits, part).sha256 != sha256:
            raise ExportError(
                f"the {part} images are not those of {run.folder}: was it made with another "
                "version of scikit-learn or numpy? run.json names the versions"
            )
    return ExportSource(run, dataset, splits, calibration_indices(splits, recipe.seed))


def calibration_indices(splits: Splits, seed: int) -> NDArray[np.int64]:
    """The training images that calibrate: a seeded sample, sorted; never any other image."""
    n = min(CALIBRATION_IMAGES, len(splits.train))
    return np.sort(np.random.default_rng(seed).choice(splits.train, n, replace=False))
