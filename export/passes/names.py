"""Names that read well in a viewer: a node is called as its Keras layer is."""

import onnx
from onnx import NodeProto

from export.passes.graph import Graph

_NAMED_AS_LAYER = {"Conv", "Gemm", "MatMul", "MaxPool", "AveragePool", "GlobalAveragePool"}
_ROLES = {
    "Conv": ("weight", "bias"),
    "Gemm": ("weight", "bias"),
    "MatMul": ("weight",),
    "QuantizeLinear": ("scale", "zero_point"),
}


def readable_names(model: onnx.ModelProto, batch: str = "batch") -> onnx.ModelProto:
    """Renames nodes and tensors after the layers, and the free dimension to `batch`.

    tf2onnx calls a node `model/layer/Operation__17` and its result `model/layer/Operation:0`;
    here both become `layer` for what makes a layer, `layer.operation` for what comes with it.
    The graph's own inputs and outputs keep their names, since callers use them.
    """
    graph = Graph.copy_of(model)
    fixed = {*graph.inputs, *graph.outputs}
    taken = set(fixed)
    for node in graph.model.graph.node:
        layer = _layer(node)
        plain = layer if node.op_type in _NAMED_AS_LAYER else f"{layer}.{node.op_type.lower()}"
        node.name = _free(plain, taken - {plain} if plain in graph.outputs else taken)
        for i, output in enumerate(list(node.output)):
            if output and output not in fixed:
                graph.rename(output, node.name if i == 0 else f"{node.name}.{i}")
        for role, tensor in zip(_ROLES.get(node.op_type, ()), list(node.input)[1:], strict=False):
            if graph.constant(tensor) is not None and tensor not in taken:
                graph.rename(tensor, name := _free(f"{layer}.{role}", taken))
                taken.add(name)
        taken.add(node.name)
    for value in (*graph.model.graph.input, *graph.model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = batch
    return graph.finished()


def _layer(node: NodeProto) -> str:
    parts = node.name.split("/")
    return (parts[1] if len(parts) > 2 else parts[0]) or node.op_type.lower()


def _free(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    return next(f"{name}_{i}" for i in range(2, len(taken) + 3) if f"{name}_{i}" not in taken)
