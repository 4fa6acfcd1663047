"""Queries on an ONNX graph, and the few edits that every pass needs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, numpy_helper


@dataclass
class Graph:
    """A model that a pass edits and returns: a copy, so that the caller's model does not change."""

    model: onnx.ModelProto

    @classmethod
    def copy_of(cls, model: onnx.ModelProto) -> "Graph":
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        return cls(copy)

    @property
    def nodes(self) -> list[NodeProto]:
        return list(self.model.graph.node)

    @property
    def inputs(self) -> list[str]:
        return [value.name for value in self.model.graph.input]

    @property
    def outputs(self) -> list[str]:
        return [value.name for value in self.model.graph.output]

    def constant(self, name: str) -> NDArray[Any] | None:
        """The value of an initializer, or None where `name` is computed or fed."""
        for tensor in self.model.graph.initializer:
            if tensor.name == name:
                return numpy_helper.to_array(tensor)
        return None

    def set_constant(self, name: str, value: NDArray[Any]) -> None:
        """Adds an initializer, or gives an existing one another value."""
        tensor = numpy_helper.from_array(np.ascontiguousarray(value), name)
        for old in self.model.graph.initializer:
            if old.name == name:
                old.CopyFrom(tensor)
                return
        self.model.graph.initializer.append(tensor)

    def producer(self, tensor: str) -> NodeProto | None:
        """The node that computes `tensor`."""
        return next((node for node in self.model.graph.node if tensor in node.output), None)

    def consumers(self, tensor: str) -> list[NodeProto]:
        """The nodes that read `tensor`; a graph output is not among them."""
        return [node for node in self.model.graph.node if tensor in node.input]

    def only_consumer(self, tensor: str, op_type: str) -> NodeProto | None:
        """The node of that type which alone reads `tensor`, and once, unless it is returned too."""
        readers = [node for node in self.nodes for name in node.input if name == tensor]
        if len(readers) == 1 and readers[0].op_type == op_type and tensor not in self.outputs:
            return readers[0]
        return None

    def shape(self, tensor: str) -> list[int | None] | None:
        """The inferred shape, with None for a dimension that is free; None where it is unknown."""
        inferred = onnx.shape_inference.infer_shapes(self.model, data_prop=True).graph
        for value in [*inferred.value_info, *inferred.input, *inferred.output]:
            if value.name == tensor and value.type.tensor_type.HasField("shape"):
                return [
                    dim.dim_value if dim.HasField("dim_value") else None
                    for dim in value.type.tensor_type.shape.dim
                ]
        return None

    def replace(self, old: list[NodeProto], new: list[NodeProto]) -> None:
        """Puts `new` where the first of `old` stood, and drops all of `old`."""
        position = min(self.nodes.index(node) for node in old)
        kept = [node for node in self.nodes if node not in old]
        self._set_nodes([*kept[:position], *new, *kept[position:]])

    def redirect(self, old: str, new: str) -> None:
        """Lets every reader of the tensor `old` read `new` instead."""
        for node in self.model.graph.node:
            for i, name in enumerate(node.input):
                if name == old:
                    node.input[i] = new

    def rename(self, old: str, new: str) -> None:
        """Renames a tensor wherever it stands: made, read, stored, fed or returned."""
        if old == new:
            return
        graph = self.model.graph
        for node in graph.node:
            for names in (node.input, node.output):
                for i, name in enumerate(names):
                    if name == old:
                        names[i] = new
        for named in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
            if named.name == old:
                named.name = new

    def finished(self) -> onnx.ModelProto:
        """The model without nodes and constants that nothing reads, checked by onnx."""
        needed = set(self.outputs)
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
        self._set_nodes([node for node in self.nodes if needed.intersection(node.output)])
        graph = self.model.graph
        # As they are first read: tf2onnx's order, and so the bytes, change from run to run.
        read = list(dict.fromkeys(name for node in graph.node for name in node.input))
        order = {name: i for i, name in enumerate(read)}
        stored = sorted(
            (tensor for tensor in graph.initializer if tensor.name in needed),
            key=lambda tensor: order.get(tensor.name, len(order)),
        )
        del graph.initializer[:], graph.value_info[:]
        graph.initializer.extend(stored)
        onnx.checker.check_model(self.model, full_check=True)
        return self.model

    def _set_nodes(self, nodes: list[NodeProto]) -> None:
        copies = []
        for node in nodes:
            copy = NodeProto()
            copy.CopyFrom(node)
            copies.append(copy)
        del self.model.graph.node[:]
        self.model.graph.node.extend(copies)


def attribute(node: NodeProto, name: str, default: object = None) -> object:
    """An attribute's value, or `default` where the node does not carry it."""
    for entry in node.attribute:
        if entry.name == name:
            return onnx.helper.get_attribute_value(entry)
    return default
