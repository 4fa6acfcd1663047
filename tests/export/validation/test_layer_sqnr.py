"""Layers of two artifacts are matched by name and compared in dB."""

import math
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.recipes import Format
from export.validation.layer_sqnr import (
    LayerOutputs,
    compare_layers,
    layer_outputs,
    sqnr_db,
    tflite_layer,
)
from tinysight.provenance import LayerNoise

LAYERS = ["conv1", "conv2", "conv3", "dense1", "logits"]


def compared(expected: LayerOutputs, actual: LayerOutputs) -> LayerNoise:
    found = compare_layers(expected, actual, against="float32")
    assert found is not None
    return found


@given(st.floats(1e-6, 1.0))
def test_noise_of_a_known_power_has_its_decibels(part: float) -> None:
    signal = np.ones(1000)
    assert sqnr_db(signal, signal + part) == pytest.approx(-20 * math.log10(part), abs=1e-3)


def test_the_ends_of_the_scale() -> None:
    zero, one = np.zeros(3), np.ones(3)
    assert sqnr_db(one, one) == math.inf
    assert sqnr_db(zero, zero) == math.inf
    assert sqnr_db(zero, one) == -math.inf
    assert sqnr_db(one, one * np.nan) == -math.inf


def test_the_first_layer_below_the_bound_is_named() -> None:
    signal = np.ones((32, 10))
    # One part in ten of amplitude is 20 dB, one in a hundred 40.
    expected = dict.fromkeys("abcd", signal)
    actual = {"a": signal, "b": signal * 1.01, "c": signal * 1.1, "d": signal * 1.2}
    assert compared(expected, actual) == LayerNoise(
        against="float32",
        images=32,
        bound_db=25.0,
        first="c",
        layers_db={"a": None, "b": 40.0, "c": 20.0, "d": 14.0},
    )
    lower = compare_layers(expected, actual, against="float32", bound_db=5.0)
    assert lower is not None
    assert lower.first is None
    assert compared({"a": signal}, {"a": signal * np.nan}).first == "a"


@pytest.mark.parametrize(
    ("tensor", "layer"),
    [
        ("model/net/conv1/Relu;model/net/conv1/BiasAdd;model/net/conv1/Conv2D", "conv1"),
        ("net/dense1/MatMul;net/dense1/Relu;net/dense1/BiasAdd", "dense1"),
        ("net/bn1/FusedBatchNormV3;net/quant_conv1/Conv2D", "conv1"),
        ("StatefulPartitionedCall:0", "logits"),
    ],
)
def test_a_tflite_tensor_is_its_layers(tensor: str, layer: str) -> None:
    assert tflite_layer(tensor) == layer


@pytest.fixture(scope="module")
def artifacts(
    graph: onnx.ModelProto, baseline: Any, images: NDArray[np.uint8]
) -> dict[str, tuple[bytes, bytes]]:
    """Of the baseline by format: float32, int8."""
    from export.formats import tflite
    from export.passes import uint8_input
    from export.quantization.post_training import static_w8a8

    return {
        "onnx": (
            uint8_input(graph).SerializeToString(),
            static_w8a8(graph, images).SerializeToString(),
        ),
        "tflite": (tflite.float32(baseline), tflite.static_w8a8(baseline, images)),
    }


@pytest.mark.parametrize("format_", ["onnx", "tflite"])
def test_every_layer_of_the_int8_artifact_is_compared(
    artifacts: dict[str, tuple[bytes, bytes]], images: NDArray[np.uint8], format_: Format
) -> None:
    expected, actual = (
        layer_outputs(content, format_, images[:8]) for content in artifacts[format_]
    )
    found = compared(expected, actual)
    assert list(found.layers_db) == LAYERS
    assert found.images == 8
    assert found.first is None
    assert all(db is not None and 20 < db < 70 for db in found.layers_db.values())
    assert set(compared(expected, expected).layers_db.values()) == {None}


def test_the_formats_agree_in_float32(
    artifacts: dict[str, tuple[bytes, bytes]], images: NDArray[np.uint8]
) -> None:
    """So that the layers really are the same ones: NCHW against NHWC, by the last two."""
    one = layer_outputs(artifacts["onnx"][0], "onnx", images[:8])
    other = layer_outputs(artifacts["tflite"][0], "tflite", images[:8])
    for layer in ("dense1", "logits"):
        np.testing.assert_allclose(one[layer], other[layer], rtol=1e-3, atol=1e-4)


def test_layers_with_dynamic_ranges_are_found_as_well(
    graph: onnx.ModelProto,
    artifacts: dict[str, tuple[bytes, bytes]],
    images: NDArray[np.uint8],
) -> None:
    from export.quantization.post_training import dynamic_w8

    dynamic = dynamic_w8(graph).SerializeToString()
    expected = layer_outputs(artifacts["onnx"][0], "onnx", images[:8])
    found = compared(expected, layer_outputs(dynamic, "onnx", images[:8]))
    assert list(found.layers_db) == LAYERS
    assert found.first is None


def test_a_changed_layer_is_the_first_to_leave_float32(
    graph: onnx.ModelProto,
    artifacts: dict[str, tuple[bytes, bytes]],
    images: NDArray[np.uint8],
) -> None:
    from export.passes import Graph, uint8_input

    changed = Graph.copy_of(graph)
    weights = changed.constant("conv2.weight")
    assert weights is not None
    changed.set_constant("conv2.weight", weights * np.float32(1.2))
    content = uint8_input(changed.finished()).SerializeToString()
    expected = layer_outputs(artifacts["onnx"][0], "onnx", images[:8])
    found = compared(expected, layer_outputs(content, "onnx", images[:8]))
    assert found.layers_db["conv1"] is None
    assert found.first == "conv2"


def test_without_a_common_layer_there_is_nothing_to_compare() -> None:
    one = {"a": np.zeros((2, 3))}
    assert compare_layers(one, {"b": np.zeros((2, 3))}, against="float32") is None
    assert compare_layers(one, {"a": np.zeros((2, 4))}, against="float32") is None
