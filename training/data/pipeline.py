"""Batches for Keras: uint8 images are gathered from the memory map, augmented and scaled."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.augment import AugmentationParams, blend
from training.tf_keras_setup import tf

_PARALLEL = os.cpu_count() or 2
"""Batches made at a time: as many as there are cores."""


def epoch_order(indices: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    """The order in which epoch `epoch` visits `indices`.

    It depends on the two numbers alone, so that a resumed run visits the images in the same order
    as one that was never interrupted.
    """
    return np.random.default_rng((seed, epoch)).permutation(indices)


def batches(
    values: NDArray[Any],
    targets: NDArray[Any],
    order: NDArray[np.int64],
    batch_size: int,
    *,
    params: AugmentationParams | None = None,
) -> Any:
    """A tf.data.Dataset of (float32 (b, …), targets (b, …)), in the given order.

    Args:
        values: uint8 images (n, h, w, 3), which are scaled to [0, 1]; or float features, which
            are not.
        targets: int64 (n,), or those of `training.distillation.loss`.
        order: indices into both.
        batch_size: images per batch; the last batch may be smaller.
        params: how each image is augmented; None leaves them unchanged.
    """
    mixup = None if params is None else params.mixup
    # Of each: the array, and for which of its rows an image asks.
    sources: list[tuple[NDArray[Any], NDArray[np.int64] | None]] = [(values, None), (targets, None)]
    if params is not None:
        sources.append((params.places, None))
    if mixup is not None:
        sources += [(values, mixup.indices), (mixup.lambdas, None)]

    def gather(rows: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        return tuple(array[rows if others is None else others[rows]] for array, others in sources)

    def load(rows: Any) -> tuple[Any, Any]:
        # numpy_function keeps the memory map out of the graph, which would hold it as a constant.
        types = tuple(array.dtype for array, _ in sources)
        gathered = tf.numpy_function(gather, [rows], types, stateful=False)
        for part, (array, _) in zip(gathered, sources, strict=True):
            part.set_shape((None, *array.shape[1:]))
        items, labels, *drawn = gathered
        if values.dtype != np.uint8:
            return items, labels
        if mixup is not None:
            items = tf.cast(blend(items, *drawn[1:]), tf.uint8)
        if params is not None:
            items = params.apply(items, drawn[0])
        return tf.cast(items, tf.float32) / 255.0, labels

    options = tf.data.Options()
    # The autotuner's thread sleeps up to a minute at a time, and the end of an iterator waits for
    # it: each epoch then lasts until its next waking.
    options.autotune.enabled = False
    # Several workers share each batch; sharing files, the default, makes no sense here.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return (
        tf.data.Dataset.from_tensor_slices(order)
        .batch(batch_size)
        .map(load, num_parallel_calls=_PARALLEL, deterministic=True)
        .prefetch(2 * _PARALLEL)
        .with_options(options)
    )
