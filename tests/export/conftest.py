"""Shared by the export tests."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from training.data import Dataset
from training.run_folder import Run

# No deadline: how long an example takes says more of the machine than of the code.
settings.register_profile("tinysight", deadline=None)
settings.load_profile("tinysight")


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Real handwritten digits."""
    pytest.importorskip("sklearn")
    from training.data import load_dataset

    return load_dataset("digits")


@pytest.fixture(scope="session")
def images(dataset: Dataset) -> NDArray[np.uint8]:
    """Some of them, uint8 (64, 32, 32, 3)."""
    return np.array(dataset.images[:64])


@pytest.fixture(scope="session")
def baseline() -> Any:
    """The baseline with random weights and, unlike a new one, biases."""
    pytest.importorskip("tensorflow")
    from training.models.baseline import baseline
    from training.tf_keras_setup import keras

    keras.utils.set_random_seed(0)
    model = baseline((32, 32, 3), 10)
    draw = np.random.default_rng(0)
    for weight in model.weights:
        if "bias" in weight.name:
            weight.assign(draw.normal(0, 0.1, weight.shape))
    return model


@pytest.fixture(scope="session")
def graph(baseline: Any) -> onnx.ModelProto:
    """Its clean float32 graph over pixels."""
    pytest.importorskip("tf2onnx")
    from export.formats.onnx import keras_to_onnx

    return keras_to_onnx(baseline)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A short real training on digits."""
    pytest.importorskip("tensorflow")
    from training.cli import main
    from training.run_folder import load_run

    out = tmp_path_factory.mktemp("runs") / "digits"
    assert main(["run", "baseline", "--out", str(out), "--epochs", "3"]) == 0
    return load_run(out)
