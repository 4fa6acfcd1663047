"""Versions and device of a run."""

import platform
from importlib.metadata import version

from tinysight.device import info
from tinysight.provenance import TrainingDevice
from tinysight.records import from_json, to_json
from training.gpu import name
from training.tf_keras_setup import keras, tf


def versions() -> dict[str, str]:
    """Of the packages that can change the result of a run."""
    packages = ("tinysight", "tensorflow", "tf-keras", "numpy", "scikit-learn", "pillow")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def describe_device() -> TrainingDevice:
    """This machine, with its GPUs, and the precision of Keras' global policy."""
    gpus = [name(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    precision = keras.mixed_precision.global_policy().name
    machine = to_json(info.describe())
    return from_json(TrainingDevice, {**machine, "gpus": gpus, "precision": precision})
