"""One code path from a laptop to several hosts: tf.distribute picks the devices."""

import json
import os
from pathlib import Path
from typing import Any

from training.tf_keras_setup import tf


def strategy() -> Any:
    """How the work is shared out.

    Where TF_CONFIG names several hosts, MultiWorkerMirroredStrategy; it must be made before
    anything else is computed. Where there are several GPUs, MirroredStrategy (untested there).
    Else TensorFlow's default, which shares nothing. A recipe's batch is the global one: each
    replica takes its part of it.
    """
    if _workers() > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief() -> bool:
    """Whether this process writes the run folder: the first worker, or the only one."""
    task = _config().get("task", {})
    return task.get("type", "worker") == "chief" or (
        int(task.get("index", 0)) == 0 and "chief" not in _config().get("cluster", {})
    )


def own_folder(shared: Path) -> Path:
    """Where this process writes what every worker must save together, but only one may keep."""
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
