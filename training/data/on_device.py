"""Images that live in the memory of the training device, and are augmented in the training step.

The host then only sends, for each image of a batch, its index, its target and its augmentation
parameters: about 50 bytes in place of 12 KB of float32 pixels for CIFAR-10.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.augment import AugmentationParams, blend
from training.tf_keras_setup import tf

MAX_BYTES = 2**30
"""Of the images on a device: what is left must hold the model and its activations. CIFAR-10 has
180 MB."""


def images_fit(values: NDArray[Any]) -> bool:
    """Whether images are kept on the devices: on GPUs, and where they are small enough.

    On a CPU both roads share the same cores and the same memory, and the pipeline of
    `training.data.pipeline` works while a step waits.
    """
    on_gpu = bool(tf.config.list_logical_devices("GPU"))
    return on_gpu and values.dtype == np.uint8 and values.nbytes <= MAX_BYTES


class DeviceImages:
    """uint8 images, once on each device of a strategy."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        """To be called in the strategy scope of the model.

        Args:
            images: (n, h, w, 3).
        """
        # A variable, not a constant: every replica then reads a copy on its own device.
        self._images = tf.Variable(np.asarray(images), trainable=False, dtype=tf.uint8)
        # TensorFlow multiplies by the reciprocal of a constant, which rounds differently from the
        # pipeline's division.
        self._white = tf.Variable(255.0, trainable=False)

    def batches(
        self,
        targets: NDArray[Any],
        order: NDArray[np.int64],
        batch_size: int,
        params: AugmentationParams | None = None,
    ) -> Any:
        """A tf.data.Dataset of (rows, targets), where rows are what `pixels` takes.

        Args:
            targets: as those of `training.data.pipeline.batches`.
            order: indices of the images.
            batch_size: images per batch; the last batch may be smaller.
            params: how each image is augmented; None leaves them unchanged.
        """
        rows: dict[str, NDArray[Any]] = {"index": order}
        if params is not None:
            rows["places"] = params.places[order]
            if params.mixup is not None:
                rows["other"] = params.mixup.indices[order]
                rows["lambda"] = params.mixup.lambdas[order]
        columns = tf.nest.map_structure(tf.constant, (rows, targets[order]))

        def load(start: Any) -> Any:
            return tf.nest.map_structure(lambda column: column[start : start + batch_size], columns)

        options = tf.data.Options()
        options.autotune.enabled = False  # see training.data.pipeline
        options.experimental_distribute.auto_shard_policy = (
            tf.data.experimental.AutoShardPolicy.DATA
        )
        starts = tf.data.Dataset.range(0, len(order), batch_size)
        return starts.map(load).prefetch(2).with_options(options)

    def pixels(self, rows: dict[str, Any], params: AugmentationParams | None) -> Any:
        """The float32 pixels (b, h, w, 3) in [0, 1] of a batch, as the pipeline makes them.

        Args:
            rows: of `batches`.
            params: of any epoch of the run: only what all epochs share is read from them.
        """
        images = tf.cast(tf.gather(self._images, rows["index"]), tf.float32)
        if "other" in rows:
            images = blend(images, tf.gather(self._images, rows["other"]), rows["lambda"])
        if params is not None and "places" in rows:  # validation images are not augmented
            images = params.apply(images, rows["places"])
        return images / self._white
