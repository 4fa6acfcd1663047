"""Devices of a training, from a laptop to several hosts, by tf.distribute."""

import json
import os
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
    if _workers() > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


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
