"""Layers of two artifacts are matched by name and held against each other in dB."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("onnx")

from export.validation.layer_sqnr import (
    Divergence,
    divergence,
    layer_values,
    signal_to_noise,
    tflite_layer,
)

LAYERS = ["conv1", "conv2", "conv3", "dense1", "logits"]


@given(st.floats(1e-6, 1.0))
def test_noise_of_a_known_power_has_its_decibels(part: float) -> None:
    signal = np.ones(1000)
    assert signal_to_noise(signal, signal + part) == pytest.approx(-20 * math.log10(part), abs=1e-3)


def test_the_ends_of_the_scale() -> None:
    zero, one = np.zeros(3), np.ones(3)
    assert signal_to_noise(one, one) == math.inf
    assert signal_to_noise(zero, zero) == math.inf
    assert signal_to_noise(zero, one) == -math.inf
    assert signal_to_noise(one, one * np.nan) == -math.inf


def test_the_first_layer_beyond_the_bound_is_named() -> None:
    found = Divergence(32, {"a": math.inf, "b": 30.0, "c": 24.9, "d": 12.0}, bound=25.0)
    assert found.first == "c"
    assert found.as_json() == {
        "images": 32,
        "bound_db": 25.0,
        "first": "c",
        "layers_db": {"a": None, "b": 30.0, "c": 24.9, "d": 12.0},
    }
    assert dataclasses.replace(found, bound=5.0).first is None
    assert dataclasses.replace(found, layers={"a": math.nan}).first == "a"


@pytest.mark.parametrize(("images", "layers"), [(0, {"a": 1.0}), (3, {})])
def test_a_divergence_needs_images_and_layers(images, layers):
    with pytest.raises(ValueError, match="needs"):
        Divergence(images, layers)


@pytest.mark.parametrize(
    ("tensor", "layer"),
    [
        ("model/net/conv1/Relu;model/net/conv1/BiasAdd;model/net/conv1/Conv2D", "conv1"),
        ("net/dense1/MatMul;net/dense1/Relu;net/dense1/BiasAdd", "dense1"),
        ("net/bn1/FusedBatchNormV3;net/quant_conv1/Conv2D", "conv1"),
        ("StatefulPartitionedCall:0", "logits"),
    ],
)
def test_a_tflite_tensor_is_its_layers(tensor, layer):
    assert tflite_layer(tensor) == layer


@pytest.fixture(scope="module")
def artifacts(graph, baseline, images):
    """Of the baseline by format: float32, int8."""
    from export.formats import tflite
    from export.passes import uint8_input
    from export.quantization.post_training import dynamic_w8, static_w8a8

    return {
        "onnx": (
            uint8_input(graph).SerializeToString(),
            static_w8a8(graph, images).SerializeToString(),
        ),
        "tflite": (tflite.float32(baseline), tflite.static_w8a8(baseline, images)),
        "dynamic": dynamic_w8(graph).SerializeToString(),
    }


@pytest.mark.parametrize("format_", ["onnx", "tflite"])
def test_every_layer_of_the_int8_artifact_is_compared(artifacts, images, format_):
    wanted, found = (layer_values(content, format_, images[:8]) for content in artifacts[format_])
    compared = divergence(wanted, found)
    assert list(compared.layers) == LAYERS
    assert compared.images == 8
    assert compared.first is None
    assert all(20 < db < 70 for db in compared.layers.values())
    assert set(divergence(wanted, wanted).layers.values()) == {math.inf}


def test_the_formats_agree_in_float32(artifacts, images):
    """So that the layers really are the same ones: NCHW against NHWC, by the last two."""
    one, other = (layer_values(artifacts[f][0], f, images[:8]) for f in ("onnx", "tflite"))
    for layer in ("dense1", "logits"):
        np.testing.assert_allclose(one[layer], other[layer], rtol=1e-3, atol=1e-4)


def test_layers_with_dynamic_ranges_are_found_as_well(artifacts, images):
    wanted = layer_values(artifacts["onnx"][0], "onnx", images[:8])
    compared = divergence(wanted, layer_values(artifacts["dynamic"], "onnx", images[:8]))
    assert list(compared.layers) == LAYERS
    assert compared.first is None


def test_a_spoilt_layer_is_the_first_to_leave(graph, artifacts, images):
    from export.passes import Graph, uint8_input

    spoilt = Graph.copy_of(graph)
    spoilt.set_constant("conv2.weight", spoilt.constant("conv2.weight") * np.float32(1.2))
    content = uint8_input(spoilt.finished()).SerializeToString()
    wanted = layer_values(artifacts["onnx"][0], "onnx", images[:8])
    compared = divergence(wanted, layer_values(content, "onnx", images[:8]))
    assert compared.layers["conv1"] == math.inf
    assert compared.first == "conv2"


def test_nothing_in_common_is_nothing_to_compare():
    assert divergence({"a": np.zeros((2, 3))}, {"b": np.zeros((2, 3))}) is None
    assert divergence({"a": np.zeros((2, 3))}, {"a": np.zeros((2, 4))}) is None
