"""Pooling and dense layer as one Gemm: the same sums, without the rounding in between."""

from typing import Any

import numpy as np
import onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.formats.fusion_check import optimized_operators
from export.passes import pool_into_gemm
from tinysight.engines.ort import make_session

_CHANNELS, _CLASSES = 8, 3


def _model(side: int, seed: int) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """A quantized map, its global average and a dense layer, as onnxruntime quantizes them."""
    draw = np.random.default_rng(seed)
    constants: dict[str, Any] = {
        "step": np.float32(draw.uniform(0.01, 0.1)),
        "zero": np.uint8(0),
        "mean_step": np.float32(0.05),
        "axes": np.array([1, 2]),
        "weights": draw.integers(-127, 128, (_CHANNELS, _CLASSES)).astype(np.int8),
        "weights_step": draw.uniform(0.001, 0.01, _CLASSES).astype(np.float32),
        "weights_zero": np.zeros(_CLASSES, np.int8),
        "bias": draw.integers(-2000, 2000, _CLASSES).astype(np.int32),
    }
    constants["bias_step"] = constants["mean_step"] * constants["weights_step"]
    q, d = "QuantizeLinear", "DequantizeLinear"
    nodes = [
        helper.make_node("Transpose", ["image"], ["turned"], perm=[0, 2, 3, 1]),
        helper.make_node(d, ["turned", "step", "zero"], ["real"]),
        helper.make_node("ReduceMean", ["real", "axes"], ["mean"], keepdims=0),
        helper.make_node(q, ["mean", "mean_step", "zero"], ["mean_q"]),
        helper.make_node(d, ["mean_q", "mean_step", "zero"], ["mean_dq"]),
        helper.make_node(d, ["weights", "weights_step", "weights_zero"], ["w"], axis=1),
        helper.make_node(d, ["bias", "bias_step"], ["b"], axis=0),
        helper.make_node("Gemm", ["mean_dq", "w", "b"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", _CHANNELS, side, side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", _CLASSES])],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return model, constants


def _logits(model: onnx.ModelProto, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    (logits,) = make_session(model.SerializeToString()).run(None, {"image": images})
    return np.asarray(logits)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_it_is_the_mean_times_the_weights(side: int, seed: int) -> None:
    model, c = _model(side, seed)
    images = np.random.default_rng(seed).integers(0, 256, (5, _CHANNELS, side, side), np.uint8)
    merged = pool_into_gemm(model)
    mean = images.mean(axis=(2, 3)) * c["step"]
    exact = mean @ (c["weights"] * c["weights_step"]) + c["bias"] * c["bias_step"]
    half_a_step = c["step"] * c["weights_step"] / side**2 / 2  # of the rounded bias
    error = np.abs(_logits(merged, images) - exact)
    assert (error <= half_a_step + 1e-4 * (1 + np.abs(exact))).all()


def test_onnxruntime_makes_one_qgemm_of_it() -> None:
    model, _ = _model(4, 0)
    operators = optimized_operators(pool_into_gemm(model).SerializeToString())
    assert list(operators) == ["Transpose", "Flatten", "QGemm"]


def test_weights_that_would_be_repeated_3600_times_stay() -> None:
    model, _ = _model(60, 0)
    assert "ReduceMean" in [node.op_type for node in pool_into_gemm(model).graph.node]
