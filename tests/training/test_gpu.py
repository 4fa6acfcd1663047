"""What is told of GPUs, and which precision they get; TensorFlow's list of devices is simulated."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow")

from training import gpu as gpu_module
from training.gpu import GpuReport
from training.optim.precision import set_policy
from training.recipes import Recipe
from training.tf_keras_setup import keras, tf

Simulate = Any
"""A call with the GPUs' names and compute capabilities."""


@pytest.fixture
def simulate(monkeypatch: pytest.MonkeyPatch) -> Simulate:
    def gpus(*found: tuple[str, tuple[int, int]]) -> None:
        devices = [
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

    return gpus


ONE, TWO = ("NVIDIA L4", (8, 9)), ("Tesla T4", (7, 5))


def test_one_and_two_gpus_are_named(simulate: Simulate) -> None:
    simulate(ONE)
    assert GpuReport.of_this_machine().line() == "1 GPU: NVIDIA L4"
    simulate(ONE, TWO)
    assert GpuReport.of_this_machine().line() == "2 GPUs: NVIDIA L4, Tesla T4"


@pytest.mark.parametrize(
    ("driver", "visible", "wheels", "expected"),
    [
        (False, None, False, None),
        (False, "", True, None),
        (True, "", True, "unset it"),
        (True, "-1", True, "CUDA_VISIBLE_DEVICES='-1'"),
        (True, None, False, "'.[train-gpu]'"),
        (True, "0", True, "driver of version 525"),
    ],
    ids=["none", "none, variable set", "hidden", "hidden by -1", "no wheels", "old driver"],
)
def test_unused_gpus_are_told_with_the_cure(
    driver: bool,
    visible: str | None,
    wheels: bool,
    expected: str | None,
    simulate: Simulate,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    simulate()
    version_file = tmp_path / "version"
    if driver:
        version_file.write_text("NVRM version: 470.0")
    monkeypatch.setattr(gpu_module, "_DRIVER", version_file)
    monkeypatch.setattr(gpu_module, "_CUDA_WHEEL", "numpy" if wheels else "not-installed-here")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    line = GpuReport.of_this_machine().line()
    if expected is None:
        assert line is None
    else:
        assert line is not None
        assert expected in line
        assert "on the CPU" in line
        assert "\n" not in line


@pytest.mark.parametrize(
    ("found", "policy"),
    [((ONE,), "mixed_bfloat16"), ((TWO,), "mixed_float16"), ((ONE, TWO), "mixed_float16")],
    ids=["Ampere and later", "Turing", "both"],
)
def test_precision_by_compute_capability(found: Any, policy: str, simulate: Simulate) -> None:
    simulate(*found)
    try:
        assert set_policy(Recipe("baseline", precision="auto")) == policy
    finally:
        keras.mixed_precision.set_global_policy("float32")
