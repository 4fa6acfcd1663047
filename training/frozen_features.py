"""What a frozen base makes of every image: computed once, and found again by content."""

import hashlib
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.files import cache_folder, new_folder
from training.data import Dataset
from training.finalize import predict
from training.progress import ProgressCallback
from training.recipes import Recipe
from training.tf_keras_setup import keras


def cached_features(
    base: Any, weights: str, recipe: Recipe, dataset: Dataset, count: ProgressCallback
) -> tuple[NDArray[np.float32], float]:
    """The base's output for every image of the data, and the seconds that took.

    Args:
        base: from `training.models.vgg16.frozen_base`, its weights loaded.
        weights: the hash of those weights.

    Returns:
        float32 (n, h, w, channels), memory-mapped; computed only where the cache does not hold
        them for the same weights, preprocessing, precision and pixels.
    """
    precision = keras.mixed_precision.global_policy().name
    parts = (weights, recipe.preprocessing, precision, dataset.fingerprint)
    key = hashlib.sha256(" ".join(parts).encode()).hexdigest()[:32]
    entry = cache_folder() / "features" / key
    start = time.perf_counter()
    if not (entry / "features.npy").is_file():
        everything = np.arange(len(dataset.images))
        features = predict(base, dataset.images, everything, count, "computing frozen features")
        with new_folder(entry, overwrite=True) as folder:
            np.save(folder / "features.npy", features)
    return np.load(entry / "features.npy", mmap_mode="r"), time.perf_counter() - start
