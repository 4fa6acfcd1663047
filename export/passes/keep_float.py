"""Layers that stay in float32 amid integer ones, so that onnxruntime leaves them there, too."""

from collections.abc import Sequence

import onnx
from onnx import NodeProto, helper

from export.passes.graph import Graph

# What a QuantizeLinear is pulled forward across by onnxruntime's propagation of Q and DQ.
_TRANSPARENT = ("MaxPool", "Transpose", "Flatten", "Reshape")


def keep_float(model: onnx.ModelProto, layers: Sequence[str]) -> onnx.ModelProto:
    """Sets something exact between layers in float32 and the quantization behind them.

    onnxruntime moves a QuantizeLinear forward across poolings, towards the layer. There it
    quantizes the whole map where the pooled quarter would do; and a layer that then stands between
    DequantizeLinear and QuantizeLinear gets its weights quantized after all. Another ReLU behind
    the pooling stops it, and is merged away later: `max` of ReLU is ReLU of `max`. Where there is
    no ReLU or no pooling, a LeakyReLU of slope 1 stands in, which stays, and costs a call.

    Measured on the baseline with its first convolution in float32: 63 us without, 31 us with it;
    int8 throughout takes 42 (AMD Zen 5, one thread).

    Args:
        model: quantized, with Q/DQ nodes.
        layers: the names of the nodes that were left in float32.
    """
    graph = Graph.copy_of(model)
    for layer in layers:
        node = next((node for node in graph.nodes if node.name == layer), None)
        if node is not None:
            _hold(graph, node)
    return graph.finished()


def _hold(graph: Graph, layer: NodeProto) -> None:
    """Walks from a layer to the QuantizeLinear behind it, and sets the barrier in front of that."""
    tensor, rectified, last = layer.output[0], False, layer
    while True:
        readers = graph.consumers(tensor)
        if len(readers) != 1 or tensor in graph.outputs:
            return
        (reader,) = readers
        if reader.op_type == "QuantizeLinear":
            break
        if reader.op_type != "Relu" and reader.op_type not in _TRANSPARENT:
            return
        rectified = rectified or reader.op_type == "Relu"
        tensor, last = reader.output[0], reader
    # A second ReLU right behind the first would be merged with it before it has done its work.
    merges = rectified and last.op_type != "Relu"
    held = f"{tensor}_held"
    name = f"{layer.name}_held"
    if merges:
        barrier = helper.make_node("Relu", [tensor], [held], name=name)
    else:
        barrier = helper.make_node("LeakyRelu", [tensor], [held], name=name, alpha=1.0)
    reader.input[0] = held
    graph.model.graph.node.insert(graph.nodes.index(reader), barrier)
