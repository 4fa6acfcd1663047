"""From a quantized graph, as tf2onnx writes it, to one that engines run in integers throughout.

tf2onnx turns the fake quantization of activations into QuantizeLinear and DequantizeLinear, but
leaves weights as float constants, although they lie on the int8 grid that was trained.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper

from export.errors import ExportError
from export.passes.graph import Graph, attribute

_MOVES = {"Transpose", "Reshape", "Flatten", "MaxPool"}
"""They only move or choose values, so that they do the same to a value's quantized form."""

_STEPS = 127
"""Of either sign: tensorflow-model-optimization leaves -128 unused."""
_OFF_GRID = 0.01
"""So far, in steps, rounding in float32 may take a weight from its step."""


def sink_dequantize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Lets what only moves values move bytes: DequantizeLinear goes behind it.

    Exact to the bit: a scale is above zero, so the largest value has the largest byte.
    """
    graph = Graph.copy_of(model)
    while (found := _movable(graph)) is not None:
        dequantize, move = found
        moved = f"{move.output[0]}_quantized"
        on_bytes, late = NodeProto(), NodeProto()
        on_bytes.CopyFrom(move)
        on_bytes.input[0], on_bytes.output[0] = dequantize.input[0], moved
        late.CopyFrom(dequantize)
        late.input[0], late.output[0] = moved, move.output[0]
        graph.replace([move], [on_bytes, late])
        graph.replace([dequantize], [])
    return graph.finished()


def _movable(graph: Graph) -> tuple[NodeProto, NodeProto] | None:
    """A per-tensor DequantizeLinear whose result goes into one moving node alone."""
    for dequantize in graph.nodes:
        scale = graph.constant(dequantize.input[1]) if _is(dequantize, "Dequantize") else None
        if scale is None or scale.size != 1 or not scale > 0:
            continue
        if graph.constant(dequantize.input[0]) is not None:
            continue  # a stored weight, which another pass may be about to look at
        for op_type in _MOVES:
            move = graph.only_consumer(dequantize.output[0], op_type)
            # A MaxPool that also tells where its maxima stood is another one for bytes.
            if move is not None and move.input[0] == dequantize.output[0] and len(move.output) == 1:
                return dequantize, move
    return None


def fold_dequantize_quantize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drops a DequantizeLinear and the QuantizeLinear behind it where they undo each other.

    Exact to the bit: a step times the scale over the scale rounds to the step.
    """
    graph = Graph.copy_of(model)
    for quantize in [node for node in graph.nodes if _is(node, "Quantize")]:
        dequantize = graph.producer(quantize.input[0])
        if dequantize is None or not _is(dequantize, "Dequantize"):
            continue
        pairs = zip(dequantize.input[1:], quantize.input[1:], strict=False)
        constants = [(graph.constant(one), graph.constant(other)) for one, other in pairs]
        same = len(constants) == 2 and all(
            one is not None and other is not None and one.size == 1 and _equal(one, other)
            for one, other in constants
        )
        if same and quantize.output[0] not in graph.outputs:
            graph.redirect(quantize.output[0], dequantize.input[0])
    return graph.finished()


def _equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one.dtype == other.dtype and bool((one == other).all())


def quantize_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Stores the weights of Conv and Gemm as the int8 that they were trained to be.

    Convolutions have a scale for each output channel, dense layers one. It is the largest magnitude
    over 127, by which tensorflow-model-optimization defines it; a batch normalization that was
    folded into the weights since has scaled a channel's grid with them. Biases become int32, in
    steps of the input's scale times the weights', as an engine sums them up.

    Layers whose input is not quantized are left alone.

    Raises:
        ExportError: the weights lie on no such grid, so that this would change the model.
    """
    graph = Graph.copy_of(model)
    for node in graph.nodes:
        if node.op_type not in ("Conv", "Gemm"):
            continue
        source = graph.producer(node.input[0])
        weights = graph.constant(node.input[1])
        if source is None or not _is(source, "Dequantize") or weights is None:
            continue
        input_scale = graph.constant(source.input[1])
        if weights.dtype != np.float32 or input_scale is None or input_scale.size != 1:
            continue
        if attribute(node, "transA", 0) or attribute(node, "alpha", 1.0) != 1.0:
            continue
        scale = _scale(weights, per_channel=node.op_type == "Conv")
        steps = weights / _aligned(scale, weights)
        if np.abs(steps - np.round(steps)).max() > _OFF_GRID:
            raise ExportError(f"the weights of {node.name} do not lie on the grid of int8")
        bias = graph.constant(node.input[2]) if len(node.input) > 2 else None
        if bias is not None:
            # A channel that has nearly died has a scale by which its bias overflows int32.
            scale = np.maximum(scale, _largest(bias, scale) / (input_scale * 2**30))
        steps = np.round(weights / _aligned(scale, weights))
        _store(graph, node, 1, steps.astype(np.int8), scale)
        if bias is not None:
            unit = scale * input_scale.reshape(())
            _store(graph, node, 2, np.round(bias / unit).astype(np.int32), unit)
    return graph.finished()


def _is(node: NodeProto, what: str) -> bool:
    return bool(node.op_type == f"{what}Linear")


def _scale(weights: NDArray[np.float32], *, per_channel: bool) -> NDArray[np.float64]:
    """A layer's scale, () or (output channels,); 1 where all weights are zero."""
    axes = tuple(range(1, weights.ndim)) if per_channel else None
    largest = np.abs(weights.astype(np.float64)).max(axis=axes)
    return np.asarray(np.where(largest > 0, largest, _STEPS) / _STEPS)


def _aligned(scale: NDArray[np.floating], weights: NDArray[np.float32]) -> NDArray[np.floating]:
    """The scale in a shape that divides the weights."""
    return scale.reshape(-1, *[1] * (weights.ndim - 1)) if scale.ndim else scale


def _largest(bias: NDArray[np.float32], scale: NDArray[np.floating]) -> NDArray[np.float32]:
    """The magnitude of the bias that each scale must be able to hold."""
    return np.asarray(np.abs(bias) if scale.ndim else np.abs(bias).max())


def _store(
    graph: Graph,
    node: NodeProto,
    position: int,
    values: NDArray[np.integer],
    scale: NDArray[np.floating],
) -> None:
    """Gives the node an input of dequantized integers, of its own even where it shared one."""
    name = f"{node.name}.{'weight' if position == 1 else 'bias'}"
    graph.set_constant(f"{name}_quantized", values)
    graph.set_constant(f"{name}_scale", scale.astype(np.float32))
    graph.set_constant(f"{name}_zero_point", np.zeros(scale.shape, values.dtype))
    inputs = [f"{name}_{part}" for part in ("quantized", "scale", "zero_point")]
    dequantize = helper.make_node(
        "DequantizeLinear", inputs, [f"{name}_dequantized"], name=f"{name}.dequantize"
    )
    if scale.ndim:
        dequantize.attribute.append(helper.make_attribute("axis", 0))
    index = next(i for i, other in enumerate(graph.nodes) if other.output[0] == node.output[0])
    graph.model.graph.node[index].input[position] = f"{name}_dequantized"
    graph.model.graph.node.insert(index, dequantize)
