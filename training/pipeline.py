"""Batches for Keras: uint8 images are gathered from the memory map and scaled on the way."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.keras import tf


def epoch_order(indices: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    """The order in which epoch `epoch` visits `indices`: a function of the two numbers alone,

    so that a resumed run goes through the images as the unbroken one would have.
    """
    return np.random.default_rng((seed, epoch)).permutation(indices)


def batches(
    images: NDArray[np.uint8], targets: NDArray[np.int64], order: NDArray[np.int64], batch: int
) -> Any:
    """A tf.data.Dataset of (float32 (b, h, w, 3) in [0, 1], int64 (b,)), in the given order."""

    def gather(rows: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        return images[rows], targets[rows]

    def load(rows: Any) -> tuple[Any, Any]:
        pixels, labels = tf.numpy_function(gather, [rows], (tf.uint8, tf.int64), stateful=False)
        pixels.set_shape((None, *images.shape[1:]))
        labels.set_shape((None,))
        return tf.cast(pixels, tf.float32) / 255.0, labels

    return (
        tf.data.Dataset.from_tensor_slices(order)
        .batch(batch)
        .map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
    )
