"""Weights in 7 bits, for the layers whose sums would not be the same on every CPU."""

from collections.abc import Collection

import numpy as np
import onnx

from export.errors import ExportError
from export.passes.graph import Graph


def reduce_range(model: onnx.ModelProto, layers: Collection[str]) -> onnx.ModelProto:
    """Halves the int8 weights of the named layers and doubles their scales.

    With |w| <= 64 the sum of two products with bytes is within 16 bits, 2 * 64 * 255 = 32,640, so
    that x86 without VNNI computes it exactly: see `export.validation.int16_saturation`. It costs
    each weight of these layers one bit, and no time. Biases, which are stored in steps of the
    products, follow. Raises ExportError where a named layer has no int8 weights of its own.
    """
    graph = Graph.copy_of(model)
    nodes = {node.name: node for node in graph.nodes}
    for layer in layers:
        sources = [graph.producer(name) for name in nodes[layer].input] if layer in nodes else []
        stored = [source for source in sources[1:] if source and _is_stored(graph, source)]
        if len(stored) != len(sources) - 1 or not stored:
            raise ExportError(f"{layer} has no int8 weights to halve")
        if any(len(graph.consumers(name)) != 1 for source in stored for name in source.input[:2]):
            raise ExportError(f"{layer} shares its weights or their scale with another layer")
        for source in stored:
            values, scale = graph.constant(source.input[0]), graph.constant(source.input[1])
            assert values is not None
            assert scale is not None
            # To even: a bias in one direction would add up over the hundreds of weights of a sum.
            halved = np.round(values.astype(np.float64) / 2).astype(values.dtype)
            graph.set_constant(source.input[0], halved)
            graph.set_constant(source.input[1], scale * np.float32(2))
    return graph.finished()


def _is_stored(graph: Graph, node: onnx.NodeProto) -> bool:
    stored = graph.constant(node.input[0]) if node.op_type == "DequantizeLinear" else None
    return stored is not None and stored.dtype in (np.int8, np.int32)
