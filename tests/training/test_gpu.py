"""What is told of GPUs, and which precision they get; TensorFlow's list of devices is simulated."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow")

from tests.training.simulated_gpus import L4, T4, simulate
from training import gpu as gpu_module
from training.gpu import GpuReport
from training.optim.precision import set_policy
from training.recipes import Recipe
from training.tf_keras_setup import keras


def test_one_and_two_gpus_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch, L4)
    assert GpuReport.of_this_machine().line() == "1 GPU: NVIDIA L4"
    simulate(monkeypatch, L4, T4)
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
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    simulate(monkeypatch)
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
    [((L4,), "mixed_bfloat16"), ((T4,), "mixed_float16"), ((L4, T4), "mixed_float16")],
    ids=["Ampere and later", "Turing", "both"],
)
def test_precision_by_compute_capability(
    found: Any, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(monkeypatch, *found)
    try:
        assert set_policy(Recipe("baseline", precision="auto")) == policy
    finally:
        keras.mixed_precision.set_global_policy("float32")
