"""Layers in float32 amid int8: the same answers, and onnxruntime runs them as they stand."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnxruntime.quantization.calibrate import TensorsData

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from export.formats.fusion_check import optimized_operators
from export.passes import keep_float
from export.quantization.first_layer import quantizable
from export.quantization.post_training import find_ranges, w8a8
from tinysight.engines.ort import make_session

LAYERS = ("conv1", "conv2", "conv3", "dense1", "logits")


@pytest.fixture(scope="module")
def ranges(graph: onnx.ModelProto, images: NDArray[np.uint8]) -> TensorsData:
    return find_ranges(graph, images)


def answers(model: onnx.ModelProto, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Without onnxruntime's own rewriting: what the graph says, not what becomes of it."""
    session = make_session(model.SerializeToString(), optimize=False)
    (logits,) = session.run(None, {"image": images})
    return np.asarray(logits)


def without_barriers(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with every barrier taken out again."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in [node for node in copy.graph.node if node.name.endswith("_held")]:
        for reader in copy.graph.node:
            for i, name in enumerate(reader.input):
                if name == node.output[0]:
                    reader.input[i] = node.input[0]
        copy.graph.node.remove(node)
    return copy


@settings(max_examples=12)
@given(float_layers=st.sets(st.sampled_from(LAYERS), min_size=1).map(sorted))
def test_barriers_change_no_answer(
    graph: onnx.ModelProto, ranges: TensorsData, images: NDArray[np.uint8], float_layers: list[str]
) -> None:
    held = w8a8(graph, ranges, images, float_layers=float_layers)
    np.testing.assert_array_equal(answers(held, images), answers(without_barriers(held), images))
    assert keep_float(held, ["no such layer"]) == held


@pytest.mark.parametrize("layer", LAYERS)
def test_the_layer_runs_in_float_and_the_others_do_not(
    graph: onnx.ModelProto, ranges: TensorsData, images: NDArray[np.uint8], layer: str
) -> None:
    assert quantizable(graph) == list(LAYERS)
    found = optimized_operators(
        w8a8(graph, ranges, images, float_layers=[layer]).SerializeToString()
    )
    floats = sum(found[name] for name in ("Conv", "FusedConv", "Gemm", "FusedGemm"))
    assert floats == 1
    assert found["QLinearConv"] + found["QGemm"] == 4


def test_what_is_pooled_is_quantized_afterwards(
    graph: onnx.ModelProto, ranges: TensorsData, images: NDArray[np.uint8]
) -> None:
    """Else the quantization runs on four times the values; seen: half as slow again as int8."""
    model = w8a8(graph, ranges, images, float_layers=["conv1"])
    optimized = list(optimized_operators(model.SerializeToString()))
    assert optimized.index("MaxPool") < optimized.index("QuantizeLinear")
