"""From an int8 graph back to float32: the same network without its quantization."""

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.errors import ExportError
from export.passes.graph import Graph, attribute

_SUMS = {"Conv", "Gemm", "MatMul", "Add"}


def strip_quantization(model: onnx.ModelProto) -> onnx.ModelProto:
    """Takes every QuantizeLinear and DequantizeLinear out of a graph over uint8 pixels.

    Stored integers become the numbers that they stand for; what is left out is the rounding of
    activations, and their upper bound. Their lower one is a ReLU where its value is zero:
    onnxruntime's quantizer has taken the ReLU away for it.

    Raises ExportError where a scale or zero point is computed.
    """
    graph = Graph.copy_of(model)
    for node in graph.nodes:
        if node.op_type == "DequantizeLinear":
            stored = graph.constant(node.input[0])
            scale, zero = _grid(graph, node)
            if stored is not None:
                axis = attribute(node, "axis", 1)
                assert isinstance(axis, int)
                shape = [1] * stored.ndim
                if scale.ndim:
                    shape[axis] = -1
                values = (stored.astype(np.float32) - zero.reshape(shape)) * scale.reshape(shape)
                graph.set_constant(node.output[0], values.astype(np.float32))
                graph.replace([node], [])
            elif graph.producer(node.input[0]) is None or _of_pixels(graph, node.input[0]):
                _scale_pixels(graph, node, float(scale), float(zero))
            else:
                _bypass(graph, node)
    for node in graph.nodes:
        if node.op_type == "QuantizeLinear":
            _, zero = _grid(graph, node)
            source = graph.producer(node.input[0])
            lowest = np.iinfo(zero.dtype).min
            if source is not None and source.op_type in _SUMS and (zero == lowest).all():
                relu = helper.make_node(
                    "Relu", [node.input[0]], [node.output[0]], name=f"{source.name}.relu"
                )
                graph.replace([node], [relu])
            else:
                _bypass(graph, node)
    return graph.finished()


def _grid(graph: Graph, node: onnx.NodeProto) -> tuple[np.ndarray, np.ndarray]:
    scale = graph.constant(node.input[1])
    zero = graph.constant(node.input[2]) if len(node.input) > 2 else np.zeros((), np.uint8)
    if scale is None or zero is None:
        raise ExportError(f"{node.name} has a scale or zero point that is no constant")
    return scale, zero


def _of_pixels(graph: Graph, tensor: str) -> bool:
    """Whether the tensor is the image, or the image in another layout."""
    node = graph.producer(tensor)
    if node is None:
        return tensor in graph.inputs
    return node.op_type == "Transpose" and node.input[0] in graph.inputs


def _scale_pixels(graph: Graph, node: onnx.NodeProto, scale: float, zero: float) -> None:
    if zero != 0 or scale != 1:
        raise ExportError(f"the image is quantized by {scale} about {zero}, not by 1 about 0")
    cast = helper.make_node(
        "Cast", [node.input[0]], [node.output[0]], name="to_float", to=TensorProto.FLOAT
    )
    graph.replace([node], [cast])


def _bypass(graph: Graph, node: onnx.NodeProto) -> None:
    """Removes a node that returns its input."""
    if node.output[0] in graph.outputs:
        identity = helper.make_node("Identity", [node.input[0]], [node.output[0]], name=node.name)
        graph.replace([node], [identity])
        return
    graph.redirect(node.output[0], node.input[0])
    graph.replace([node], [])
