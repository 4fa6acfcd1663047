"""Global average pooling and the dense layer behind it become one quantized Gemm.

The mean of a map times a matrix is the flattened map times the matrix repeated for every position,
divided by their number: the division goes into the scale of the weights. The int8 sum over the map
is exact, where the pooled mean was rounded to 8 bits, and onnxruntime calls three nodes less.
"""

import math

import numpy as np
import onnx
from onnx import NodeProto, helper

from export.passes.graph import Graph, attribute

_MAX_REPEATED = 64 * 1024
"""Bytes of repeated weights. Far above, reading them takes longer than the calls that are saved."""
_NHWC = [0, 2, 3, 1]


def pool_into_gemm(model: onnx.ModelProto) -> onnx.ModelProto:
    """Transpose to NHWC, mean over height and width, quantization, Gemm: Transpose, Flatten, Gemm.

    The Transpose stays: onnxruntime, whose int8 convolutions compute in NHWC, removes it.

    Args:
        model: quantized, with Q/DQ nodes.
    """
    graph = Graph.copy_of(model)
    for mean in [node for node in graph.nodes if node.op_type == "ReduceMean"]:
        _merge(graph, mean)
    return graph.finished()


def _merge(graph: Graph, mean: NodeProto) -> None:
    before = graph.producer(mean.input[0])
    transpose = graph.producer(before.input[0]) if before is not None else None
    axes = graph.constant(mean.input[1]) if len(mean.input) > 1 else None
    if (
        before is None
        or before.op_type != "DequantizeLinear"
        or transpose is None
        or transpose.op_type != "Transpose"
        or attribute(transpose, "perm") != _NHWC
        or axes is None
        or sorted(axes) != [1, 2]
        or attribute(mean, "keepdims", 1)
    ):
        return
    quantize = graph.only_consumer(mean.output[0], "QuantizeLinear")
    dequantize = quantize and graph.only_consumer(quantize.output[0], "DequantizeLinear")
    gemm = dequantize and graph.only_consumer(dequantize.output[0], "Gemm")
    shape = graph.shape(transpose.output[0])
    if quantize is None or dequantize is None or gemm is None or shape is None or None in shape[1:]:
        return
    positions = math.prod(size or 0 for size in shape[1:3])
    step = graph.constant(before.input[1])
    if step is None or not _repeat_weights(graph, gemm, positions, step):
        return
    flat, real = f"{mean.name}_flat", f"{mean.name}_flat_DequantizeLinear_Output"
    flatten = helper.make_node("Flatten", [transpose.output[0]], [flat], name=flat, axis=1)
    scaled = helper.make_node(
        "DequantizeLinear", [flat, *before.input[1:]], [real], name=f"{flat}_DequantizeLinear"
    )
    gemm.input[0] = real
    graph.replace([before, mean, quantize, dequantize], [flatten, scaled])


def _repeat_weights(graph: Graph, gemm: NodeProto, positions: int, step: np.ndarray) -> bool:
    """Whether the Gemm's weights and bias could be rewritten for the flattened map."""
    weights_dq = graph.producer(gemm.input[1])
    bias_dq = graph.producer(gemm.input[2]) if len(gemm.input) > 2 else None
    if weights_dq is None or bias_dq is None or attribute(weights_dq, "axis", 1) != 1:
        return False
    weights, scale = (graph.constant(name) for name in weights_dq.input[:2])
    bias, bias_scale = (graph.constant(name) for name in bias_dq.input[:2])
    if weights is None or scale is None or bias is None or bias_scale is None:
        return False
    if positions * weights.size > _MAX_REPEATED:
        return False
    smaller = (scale / positions).astype(np.float32)
    graph.set_constant(weights_dq.input[0], np.tile(weights, (positions, 1)))
    graph.set_constant(weights_dq.input[1], smaller)
    # A bias is quantized by the product of the steps of what it is added to.
    new_scale = (step * smaller).astype(np.float32)
    rounded = np.round(bias.astype(np.float64) * bias_scale / new_scale)
    graph.set_constant(bias_dq.input[0], rounded.astype(np.int32))
    graph.set_constant(bias_dq.input[1], np.broadcast_to(new_scale, bias_scale.shape).copy())
    return True
