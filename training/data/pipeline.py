"""Batches for Keras: uint8 images are gathered from the memory map and scaled on the way."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.augment import AugmentationParams
from training.tf_keras_setup import tf

_PARALLEL = 2
"""Batches made at a time: it takes a small part of what the model then does with them."""


def epoch_order(indices: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    """The order in which epoch `epoch` visits `indices`: a function of the two numbers alone,

    so that a resumed run goes through the images as the unbroken one would have.
    """
    return np.random.default_rng((seed, epoch)).permutation(indices)


def batches(
    values: NDArray[Any],
    targets: NDArray[Any],
    order: NDArray[np.int64],
    batch: int,
    *,
    params: AugmentationParams | None = None,
    size: tuple[int, int] | None = None,
) -> Any:
    """A tf.data.Dataset of (float32 (b, …), targets (b, …)), in the given order.

    Args:
        values: uint8 images (n, h, w, 3), which are scaled to [0, 1]; or float features, which
            are not.
        targets: int64 (n,), or what `training.distillation.loss` makes of them.
        order: indices into both.
        batch: how many at a time; the last batch may be smaller.
        draws: how each image is augmented; None leaves them as they are.
        size: height and width that the images are shrunk to.
    """
    is_image = values.dtype == np.uint8
    blend = None if params is None else params.blend
    # Of each: the array, and for which rows of it an image asks.
    wanted: list[tuple[NDArray[Any], NDArray[np.int64] | None]] = [(values, None), (targets, None)]
    if params is not None:
        wanted.append((params.places, None))
    if blend is not None:
        wanted += [(values, blend.indices), (blend.lambdas, None)]
    arrays = [array for array, _ in wanted]

    def gather(rows: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        return tuple(array[rows if others is None else others[rows]] for array, others in wanted)

    def load(rows: Any) -> tuple[Any, Any]:
        # numpy_function keeps the memory map out of the graph, which would hold it as a constant.
        types = tuple(array.dtype for array in arrays)
        gathered = tf.numpy_function(gather, [rows], types, stateful=False)
        for part, array in zip(gathered, arrays, strict=True):
            part.set_shape((None, *array.shape[1:]))
        items, labels, *drawn = gathered
        if not is_image:
            return items, labels
        if blend is not None:
            items = blend.apply(items, *drawn[1:])
        if params is not None:
            items = params.apply(items, drawn[0])
        items = tf.cast(items, tf.float32)
        if size is not None:
            items = tf.image.resize(items, size, method="area")
        return items / 255.0, labels

    options = tf.data.Options()
    # The autotuner's thread sleeps up to a minute at a time, and the end of an iterator waits for
    # it: each epoch then lasts until its next waking.
    options.autotune.enabled = False
    # Several workers share out each batch; sharing out files, the default, makes no sense here.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return (
        tf.data.Dataset.from_tensor_slices(order)
        .batch(batch)
        .map(load, num_parallel_calls=_PARALLEL, deterministic=True)
        .prefetch(2 * _PARALLEL)
        .with_options(options)
    )
