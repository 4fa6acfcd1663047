"""What TensorFlow says of GPUs, where there are none."""

from typing import Any

import pytest

from training.tf_keras_setup import tf

L4, T4 = ("NVIDIA L4", (8, 9)), ("Tesla T4", (7, 5))
"""Product name and compute capability."""


def simulate(monkeypatch: pytest.MonkeyPatch, *found: tuple[str, tuple[int, int]]) -> None:
    devices: list[Any] = [
        tf.config.PhysicalDevice(f"/physical_device:GPU:{index}", "GPU")
        for index in range(len(found))
    ]
    details = {
        device.name: {"device_name": name, "compute_capability": capability}
        for device, (name, capability) in zip(devices, found, strict=True)
    }
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: devices if kind == "GPU" else []
    )
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda device: details[device.name]
    )
