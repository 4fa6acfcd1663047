"""The features of a frozen base for every image: computed once, then found in the cache."""

import hashlib
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.files import cache_folder, new_folder
from training.data import Dataset
from training.finalize import predict
from training.progress import ProgressCallback
from training.recipes import Recipe
from training.tf_keras_setup import keras


@dataclass(frozen=True, slots=True)
class Features:
    """The outputs of a frozen base."""

    values: NDArray[np.float32]
    """(n, h, w, channels), of all images of the data; memory-mapped."""
    seconds: float
    """That it took to compute them, or to find them in the cache."""


def cached_features(
    base: Any, weights: str, recipe: Recipe, dataset: Dataset, on_progress: ProgressCallback
) -> Features:
    """The base's output for every image of the data.

    Computed only where the cache does not hold it for the same weights, preprocessing, precision
    and pixels.

    Args:
        base: a `training.models.registry.ModelSpec.frozen_base`.
        weights: the hash of its weights.
        recipe: of the run.
        dataset: whose images.
        on_progress: called after each batch.
    """
    precision = keras.mixed_precision.global_policy().name
    parts = (weights, recipe.preprocessing, precision, dataset.fingerprint)
    key = hashlib.sha256(" ".join(parts).encode()).hexdigest()[:32]
    entry = cache_folder() / "features" / key
    start = time.perf_counter()
    if not (entry / "features.npy").is_file():
        everything = np.arange(len(dataset.images))
        features = predict(
            base, dataset.images, everything, on_progress, "computing frozen features"
        )
        with new_folder(entry, overwrite=True) as folder:
            np.save(folder / "features.npy", features)
    values = np.load(entry / "features.npy", mmap_mode="r")
    return Features(values, time.perf_counter() - start)
