"""What a run was computed with: versions and device."""

import platform
from importlib.metadata import version
from typing import Any

from tinysight.device import info
from training.tf_keras_setup import keras, tf


def versions() -> dict[str, str]:
    """The versions that can change what a run gives."""
    packages = ("tinysight", "tensorflow", "tf-keras", "numpy", "scikit-learn", "pillow")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def describe_device() -> dict[str, Any]:
    """Where the run was computed, accelerators and precision included."""
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    precision = keras.mixed_precision.global_policy().name
    return {**info.describe(), "gpus": gpus, "precision": precision}
