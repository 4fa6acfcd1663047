"""Devices of a training, from a laptop to several hosts, by tf.distribute."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.tf_keras_setup import tf


def strategy() -> Any:
    """The tf.distribute strategy of this process.

    Where TF_CONFIG names several hosts, MultiWorkerMirroredStrategy; it must be made before
    anything else is computed. With several GPUs, MirroredStrategy (not tested on GPUs). Else
    TensorFlow's default, with one replica. A recipe's batch size is the global one: each replica
    takes its part of it.
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        # Else the first training takes all memory of the card, and a second one fails. A process
        # that has computed on its GPUs already keeps what it took.
        with contextlib.suppress(RuntimeError):
            tf.config.experimental.set_memory_growth(gpu, enable=True)
    if _workers() > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def weigh_replicas(model: Any, pixels: Callable[[Any], Any]) -> None:
    """Replaces the training step by one for replicas whose parts of a batch differ in size.

    The last batch of an epoch seldom divides. Keras counts all replicas alike, so that images of a
    smaller part weigh more, and TensorFlow fails where a part is empty. Here each part counts by
    its size, and an empty one computes a single image that counts nothing.

    Args:
        model: compiled.
        pixels: from the first half of a batch to the model's input.
    """

    def step(batch: Any) -> Any:
        inputs, targets = batch
        size = tf.shape(targets)[0]
        replicas = tf.distribute.get_replica_context()
        mean = replicas.all_reduce(tf.distribute.ReduceOp.MEAN, tf.cast(size, tf.float32))
        images = pixels(tf.nest.map_structure(_never_empty, inputs))
        with tf.GradientTape() as tape:
            logits = model(images, training=True)[:size]
            loss = model.compute_loss(images[:size], targets, logits)
            loss *= tf.cast(size, tf.float32) / mean
        model.optimizer.minimize(loss, model.trainable_variables, tape=tape)
        return model.compute_metrics(images[:size], targets, logits, None)

    model.train_step = step


def _never_empty(part: Any) -> Any:
    """A tensor (n, …), with one row of zeros where n is 0."""
    missing = tf.cast(tf.shape(part)[0] == 0, tf.int32)
    padded = tf.pad(part, [[0, missing], *([[0, 0]] * (len(part.shape) - 1))])
    return tf.ensure_shape(padded, (None, *part.shape[1:]))


def is_chief() -> bool:
    """Whether this process writes the run folder: the first worker, or a single process."""
    task = _config().get("task", {})
    return task.get("type", "worker") == "chief" or (
        int(task.get("index", 0)) == 0 and "chief" not in _config().get("cluster", {})
    )


def own_folder(shared: Path) -> Path:
    """Where this process writes what all workers must save together, but only the chief keeps."""
    if is_chief():
        return shared
    task = _config()["task"]
    return shared / f".{task['type']}-{task['index']}"


def _workers() -> int:
    cluster = _config().get("cluster", {})
    return len(cluster.get("chief", [])) + len(cluster.get("worker", []))


def _config() -> dict[str, Any]:
    config: dict[str, Any] = json.loads(os.environ.get("TF_CONFIG") or "{}")
    return config
