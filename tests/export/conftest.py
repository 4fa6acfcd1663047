"""Shared by the export tests."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def images():
    """Real handwritten digits, uint8 (64, 32, 32, 3)."""
    pytest.importorskip("sklearn")
    from training.data import load_dataset

    return np.array(load_dataset("digits").images[:64])


@pytest.fixture(scope="session")
def baseline():
    """The baseline with random weights and, unlike a new one, biases."""
    pytest.importorskip("tensorflow")
    from training.models.registry import baseline
    from training.tf_keras_setup import keras

    keras.utils.set_random_seed(0)
    model = baseline((32, 32, 3), 10)
    draw = np.random.default_rng(0)
    for weight in model.weights:
        if "bias" in weight.name:
            weight.assign(draw.normal(0, 0.1, weight.shape))
    return model


@pytest.fixture(scope="session")
def graph(baseline):
    """Its clean float32 graph over pixels."""
    pytest.importorskip("tf2onnx")
    from export.formats.onnx import keras_to_onnx

    return keras_to_onnx(baseline)


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A short real training on digits."""
    pytest.importorskip("tensorflow")
    from training.cli import main
    from training.run_folder import load_run

    out = tmp_path_factory.mktemp("runs") / "digits"
    assert main(["run", "baseline", "--out", str(out), "--epochs", "3"]) == 0
    return load_run(out)


@pytest.fixture(scope="session")
def dataset():
    from training.data import load_dataset

    return load_dataset("digits")
