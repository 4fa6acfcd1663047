"""What each layer of an artifact computes for one image, from its ONNX graph."""

import math
from dataclasses import dataclass

import onnx

from export.passes import ExportError, Graph
from export.passes.graph import attribute

LAYERS = {"Conv", "Gemm", "MatMul"}
ACTIVATIONS = {"Relu", "Clip", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish"}


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution or a dense layer."""

    name: str
    kind: str
    """For people: `conv 3x3`, `conv 3x3 /2`, `depthwise 3x3`, `dense`."""
    inputs: int
    """Channels, or values, that go in."""
    outputs: int
    map: tuple[int, int]
    """Height and width of the result; 1 x 1 for a dense layer."""
    window: int
    """Height times width of the kernel: 1 for a dense layer."""
    group: int
    macs: int
    """Multiply-accumulates."""

    def __post_init__(self) -> None:
        if min(self.inputs, self.outputs, *self.map, self.window, self.group, self.macs) < 1:
            raise ValueError(f"{self.name}: sizes must be at least 1")

    @property
    def dense(self) -> bool:
        return self.kind == "dense"

    @property
    def depthwise(self) -> bool:
        return self.group > 1 and self.group == self.inputs

    @property
    def summed(self) -> int:
        """How many products make one value of the result."""
        return self.window * self.inputs // self.group

    @property
    def weights(self) -> int:
        return self.outputs * self.summed

    @property
    def reuse(self) -> float:
        """For how many positions of the map each weight is used."""
        return self.macs / self.weights

    @property
    def size(self) -> str:
        """`3 > 32, 30x30`."""
        height, width = self.map
        return f"{self.inputs} > {self.outputs}" + ("" if self.dense else f", {height}x{width}")


def layers(model: onnx.ModelProto) -> list[Layer]:
    """The layers of a graph with their work for a batch of one, in the graph's order."""
    single = onnx.ModelProto()
    single.CopyFrom(model)
    for value in (*single.graph.input, *single.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del single.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(single, data_prop=True).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
    }
    graph = Graph(single)
    return [_layer(graph, node, shapes) for node in graph.nodes if node.op_type in LAYERS]


def _layer(graph: Graph, node: onnx.NodeProto, shapes: dict[str, list[int]]) -> Layer:
    weights = _weight_shape(graph, node)
    out = shapes.get(node.output[0], [])
    if weights is None or len(out) < 2 or min(out) < 1:
        raise ExportError(f"{node.name}: its weights or its shapes are not constant")
    if node.op_type == "Conv":
        outputs, per_group, *window = weights
        group = attribute(node, "group", 1)
        strides = attribute(node, "strides", [1] * len(window))
        assert isinstance(group, int)
        assert isinstance(strides, list)
        inputs = per_group * group
        name = "depthwise" if group == inputs > 1 else "conv"
        kind = f"{name} {'x'.join(map(str, window))}" + (
            f" /{strides[0]}" if strides[0] > 1 else ""
        )
        area = math.prod(window)
        macs = math.prod(out[2:]) * outputs * per_group * area
        return Layer(node.name, kind, inputs, outputs, (out[2], out[3]), area, group, macs)
    transposed = node.op_type == "Gemm" and bool(attribute(node, "transB", 0))
    inputs, outputs = weights[::-1] if transposed else weights
    rows = math.prod(out[:-1])
    return Layer(node.name, "dense", inputs, outputs, (rows, 1), 1, 1, rows * inputs * outputs)


def _weight_shape(graph: Graph, node: onnx.NodeProto) -> list[int] | None:
    """Of the weights, stored as floats or as integers with a DequantizeLinear behind."""
    stored = graph.constant(node.input[1])
    if stored is None:
        source = graph.producer(node.input[1])
        if source is None or source.op_type not in ("DequantizeLinear", "Cast"):
            return None
        stored = graph.constant(source.input[0])
    return None if stored is None else list(stored.shape)
