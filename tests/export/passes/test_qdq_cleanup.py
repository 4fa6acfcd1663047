"""Quantized graphs: bytes move where floats did, and trained weights come back as integers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.formats.fusion_check import optimized_operators, require_fused
from export.passes import ExportError, fold_dequantize_quantize, quantize_weights, sink_dequantize
from tinysight.engines.ort import make_session

few = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)
scales = st.floats(2**-13, 8, width=32)
zeros = st.integers(0, 255)


Constants = Mapping[str, Any]
Shapes = Mapping[str, Sequence[Any]]
"""Of tensors, by name; a text is a free dimension."""


def make(
    nodes: list[onnx.NodeProto], shapes: Shapes, constants: Constants, output: Shapes
) -> onnx.ModelProto:
    """A model from `image`, uint8, to `output`, float."""
    ((name, shape),), ((answer, answer_shape),) = shapes.items(), output.items()
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info(answer, TensorProto.FLOAT, answer_shape)],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def answer(
    model: onnx.ModelProto, image: NDArray[np.uint8], *, optimized: bool = False
) -> NDArray[np.float32]:
    session = make_session(model.SerializeToString(), optimize=optimized)
    (output,) = session.run(None, {"image": image})
    return np.asarray(output)


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def unchanged(
    model_pass: Callable[[onnx.ModelProto], onnx.ModelProto], model: onnx.ModelProto
) -> onnx.ModelProto:
    """The pass's result, after making sure that it left its argument alone."""
    before = model.SerializeToString(deterministic=True)
    result = model_pass(model)
    assert model.SerializeToString(deterministic=True) == before
    return result


def quantization(scale: float, zero: int) -> dict[str, Any]:
    return {"s": np.float32(scale), "z": np.uint8(zero)}


@few
@given(seeds, scales, zeros, st.integers(1, 3), st.booleans())
def test_what_only_moves_values_moves_bytes(
    seed: int, scale: float, zero: int, batch: int, flat: bool
) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["image", "s", "z"], ["x"]),
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("MaxPool", ["t"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten" if flat else "Relu", ["p"], ["y"]),
    ]
    shape = ["n", 12] if flat else ["n", 3, 2, 2]
    model = make(nodes, {"image": ["n", 4, 4, 3]}, quantization(scale, zero), {"y": shape})
    late = unchanged(sink_dequantize, model)
    moved = ["Transpose", "MaxPool", *(["Flatten"] if flat else [])]
    assert kinds(late) == [*moved, "DequantizeLinear", *([] if flat else ["Relu"])]
    image = np.random.default_rng(seed).integers(0, 256, (batch, 4, 4, 3), dtype=np.uint8)
    np.testing.assert_array_equal(answer(late, image), answer(model, image))


def test_a_tensor_that_others_read_stays_dequantized() -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["image", "s", "z"], ["x"]),
        helper.make_node("Flatten", ["x"], ["a"]),
        helper.make_node("Flatten", ["x"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    model = make(nodes, {"image": ["n", 2, 2]}, quantization(0.5, 3), {"y": ["n", 4]})
    assert kinds(sink_dequantize(model)) == kinds(model)


@few
@given(seeds, scales, zeros)
def test_quantizing_again_by_the_same_scale_is_dropped(seed: int, scale: float, zero: int) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["image", "s", "z"], ["x"]),
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    model = make(nodes, {"image": ["n", 7]}, quantization(scale, zero), {"y": ["n", 7]})
    direct = unchanged(fold_dequantize_quantize, model)
    assert kinds(direct) == ["DequantizeLinear"]
    image = np.random.default_rng(seed).integers(0, 256, (5, 7), dtype=np.uint8)
    np.testing.assert_array_equal(answer(direct, image), answer(model, image))


@pytest.mark.parametrize(("scale", "zero"), [(0.25, 3), (0.5, 4)])
def test_quantizing_again_by_another_scale_or_zero_point_stays(scale: float, zero: int) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["image", "s", "z"], ["x"]),
        helper.make_node("QuantizeLinear", ["x", "other_s", "other_z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "other_s", "other_z"], ["y"]),
    ]
    constants = {
        **quantization(0.5, 3),
        "other_s": np.float32(scale),
        "other_z": np.uint8(zero),
    }
    model = make(nodes, {"image": ["n", 7]}, constants, {"y": ["n", 7]})
    assert kinds(fold_dequantize_quantize(model)) == kinds(model)


def convolution(
    weights: NDArray[np.float64], bias: NDArray[np.float64], scale: float = 0.02, zero: int = 7
) -> onnx.ModelProto:
    """Quantized input, a convolution of float weights, a ReLU, and a quantized output."""
    nodes = [
        helper.make_node("DequantizeLinear", ["image", "s", "z"], ["x"]),
        helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv1"),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "out_s", "out_z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "out_s", "out_z"], ["y"]),
    ]
    constants = {
        **quantization(scale, zero),
        "out_s": np.float32(0.05),
        "out_z": np.uint8(0),
        "w": weights.astype(np.float32),
        "b": bias.astype(np.float32),
    }
    outputs = len(weights)
    return make(nodes, {"image": ["n", 3, 6, 6]}, constants, {"y": ["n", outputs, 4, 4]})


def on_grid(
    draw: np.random.Generator, *shape: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Weights on a grid for each of the first dimension, and its steps."""
    steps = draw.integers(-127, 128, shape)
    steps.reshape(shape[0], -1)[:, 0] = 127
    return steps, steps * draw.uniform(1e-3, 1e-2, (shape[0], *[1] * (len(shape) - 1)))


@few
@given(seeds, st.integers(1, 5))
def test_weights_come_back_as_the_integers_they_were_trained_to_be(seed: int, outputs: int) -> None:
    draw = np.random.default_rng(seed)
    steps, weights = on_grid(draw, outputs, 3, 3, 3)
    model = convolution(weights, draw.normal(0, 0.1, outputs))
    quantized = unchanged(quantize_weights, model)
    stored = {t.name: numpy_helper.to_array(t) for t in quantized.graph.initializer}
    np.testing.assert_array_equal(stored["conv1.weight_quantized"], steps)
    assert stored["conv1.weight_quantized"].dtype == np.int8
    assert stored["conv1.bias_quantized"].dtype == np.int32
    image = draw.integers(0, 256, (2, 3, 6, 6), dtype=np.uint8)
    for optimized in (False, True):
        actual = answer(quantized, image, optimized=optimized)
        # A step of the output, on a tie.
        np.testing.assert_allclose(actual, answer(model, image), rtol=0, atol=0.0501)


def test_only_then_does_onnxruntime_compute_in_integers() -> None:
    draw = np.random.default_rng(0)
    model = convolution(on_grid(draw, 4, 3, 3, 3)[1], draw.normal(0, 0.1, 4))
    quantized = quantize_weights(model).SerializeToString()
    assert optimized_operators(quantized)["QLinearConv"] == 1
    require_fused(quantized, "it")
    floats = helper.make_node("Conv", ["image", "w"], ["y"])
    graph = helper.make_graph(
        [floats],
        "float",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4, 4, 4])],
        [numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    with pytest.raises(ExportError, match=r"it: onnxruntime still computes in float: 1 .*Conv"):
        require_fused(model.SerializeToString(), "it")


def test_weights_on_no_grid_are_refused() -> None:
    draw = np.random.default_rng(0)
    with pytest.raises(ExportError, match="conv1 do not lie on the grid"):
        quantize_weights(convolution(draw.normal(size=(2, 3, 3, 3)), np.zeros(2)))


def test_a_channel_without_weights_keeps_its_bias() -> None:
    """Its own scale would be zero, or so small that the bias overflows int32."""
    weights = on_grid(np.random.default_rng(0), 3, 3, 3, 3)[1]
    weights[1] = 0
    weights[2] *= 1e-9
    model = convolution(weights, np.array([0.5, 2.0, 3.0]))
    image = np.zeros((1, 3, 6, 6), np.uint8)
    actual = answer(quantize_weights(model), image)
    np.testing.assert_allclose(actual[0, 1:], answer(model, image)[0, 1:], atol=1e-6)


def test_a_layer_whose_input_is_not_quantized_is_left_alone() -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Gemm", ["x", "w"], ["y"], name="dense1"),
    ]
    constants = {"w": np.ones((7, 2), np.float32)}
    model = make(nodes, {"image": ["n", 7]}, constants, {"y": ["n", 2]})
    assert kinds(quantize_weights(model)) == ["Cast", "Gemm"]
