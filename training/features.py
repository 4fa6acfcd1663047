"""What a frozen base makes of every image: computed once, and found again by content."""

import hashlib
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.atomic import new_folder
from training.data import Dataset, cache_folder
from training.keras import keras
from training.loop import Progress
from training.pipeline import batches
from training.recipes import Recipe

_BATCH = 500


def cached_features(
    base: Any, weights: str, recipe: Recipe, dataset: Dataset, progress: Progress
) -> tuple[NDArray[np.float32], float]:
    """The base's output for every image of the data, and the seconds that took.

    Args:
        base: from `training.vgg16.frozen_base`, its weights loaded.
        weights: the hash of those weights.
        progress: told of each batch as of a step of epoch -1.

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
        steps = -(-len(dataset.images) // _BATCH)
        step = keras.callbacks.LambdaCallback(
            on_predict_batch_end=lambda batch, logs: progress.step(-1, batch + 1, steps)  # noqa: ARG005
        )
        everything = np.arange(len(dataset.images))
        images = batches(dataset.images, dataset.targets, everything, _BATCH)
        features = base.predict(images, verbose=0, callbacks=[step])
        with new_folder(entry, overwrite=True) as folder:
            np.save(folder / "features.npy", np.asarray(features, dtype=np.float32))
    return np.load(entry / "features.npy", mmap_mode="r"), time.perf_counter() - start
