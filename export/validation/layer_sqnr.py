"""Signal-to-quantization-noise ratio (SQNR) of an artifact's layers against float32."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper

from export.passes import ExportError, Graph
from export.recipes import Format
from tinysight.console import captured_native_stderr
from tinysight.engines.ort import make_session
from tinysight.provenance import LayerNoise

BOUND_DB = 25.0
"""Below it, a layer is said to leave float32: its error has more than 1/316 of its signal's power
(5.6 % of its root mean square). 8 bits leave 30 to 45 dB where their range fits the values."""

LayerOutputs = Mapping[str, NDArray[np.floating]]
"""A layer's name to its output, float (n, …), in the order of the network."""

_LAYERS = {"Conv", "Gemm", "MatMul", "ConvInteger", "MatMulInteger", "Add", "GlobalAveragePool"}
# What belongs to the layer before it: the layer's output is read behind these.
_COMES_WITH = {"Relu", "Clip", "LeakyRelu", "Cast", "QuantizeLinear", "Mul"}
_DYNAMIC = re.compile(r"(_MatMul)?_quant$")  # what onnxruntime's dynamic quantizer appends
_TFLITE_LAYERS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD"}
_TFLITE_OPERATIONS = ("Conv2D", "DepthwiseConv2D", "depthwise", "MatMul", "add")


def layer_outputs(content: bytes, format_: Format, images: NDArray[np.uint8]) -> LayerOutputs:
    """The output of each layer of an artifact for some dozens of uint8 images (n, h, w, 3)."""
    return (_onnx_outputs if format_ == "onnx" else _tflite_outputs)(content, images)


def compare_layers(
    expected: LayerOutputs, actual: LayerOutputs, against: str, bound_db: float = BOUND_DB
) -> LayerNoise | None:
    """Compares the layer outputs of two artifacts for the same images.

    Args:
        expected: of the float32 artifact, from `layer_outputs`.
        actual: of another one, of the same network and format.
        against: the name of the float32 artifact's recipe.
        bound_db: below it, a layer is said to leave float32.

    Returns:
        None where they have no layer in common by name, so that there is nothing to compare.
    """
    layers = {
        name: sqnr_db(expected[name], actual[name])
        for name in expected
        if name in actual and expected[name].shape == actual[name].shape
    }
    if not layers:
        return None
    return LayerNoise(
        against=against,
        images=len(next(iter(expected.values()))),
        bound_db=bound_db,
        first=next((name for name, db in layers.items() if not db >= bound_db), None),
        layers_db={
            name: round(db, 1) if math.isfinite(db) else None for name, db in layers.items()
        },
    )


def sqnr_db(expected: NDArray[np.floating], actual: NDArray[np.floating]) -> float:
    """10 log10 of the power of `expected` over that of its difference from `actual`; dB.

    Infinity where they are equal, minus infinity where the signal is zero and the other is not, or
    where one of them is NaN.
    """
    exact = expected.astype(np.float64)
    noise = float(np.square(exact - actual.astype(np.float64)).sum())
    signal = float(np.square(exact).sum())
    if noise == 0:
        return math.inf
    if not signal > 0 or not math.isfinite(noise):
        return -math.inf
    return 10 * math.log10(signal / noise)


def _onnx_outputs(content: bytes, images: NDArray[np.uint8]) -> LayerOutputs:
    graph = Graph.copy_of(onnx.load_from_string(content))
    results = dict(_results(graph))
    inferred = onnx.shape_inference.infer_shapes(graph.model).graph
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in (*inferred.value_info, *inferred.output)
    }
    tensors = list(dict.fromkeys(results.values()))
    for tensor in tensors:
        if tensor not in graph.outputs:
            value = helper.make_tensor_value_info(tensor, types[tensor], None)
            graph.model.graph.output.append(value)
    session = make_session(graph.model.SerializeToString())
    values = dict(zip(tensors, session.run(tensors, {graph.inputs[0]: images}), strict=True))
    return {name: _to_float(graph, tensor, values[tensor]) for name, tensor in results.items()}


def _to_float(graph: Graph, tensor: str, values: NDArray[Any]) -> NDArray[np.floating]:
    """A result as floats: where a QuantizeLinear made it, by its scale and zero point."""
    made = graph.producer(tensor)
    if made is None or made.op_type != "QuantizeLinear":
        return values
    scale, zero_point = (graph.constant(name) for name in made.input[1:3])
    if scale is None or zero_point is None:
        raise ExportError(f"{made.name} has a scale or zero point that is no constant")
    return np.asarray((values.astype(np.float32) - zero_point) * scale)


def _results(graph: Graph) -> Iterator[tuple[str, str]]:
    """Every layer's name, and the tensor in which its finished result stands."""
    for node in graph.nodes:
        if node.op_type in _LAYERS and not _adds_constant(graph, node):
            tensor = node.output[0]
            while (reader := _only_reader(graph, tensor)) is not None:
                if reader.op_type not in _COMES_WITH and not _adds_constant(graph, reader):
                    break
                tensor = reader.output[0]
                if reader.op_type == "QuantizeLinear":
                    break
            yield _DYNAMIC.sub("", node.name), tensor


def _only_reader(graph: Graph, tensor: str) -> NodeProto | None:
    readers = graph.consumers(tensor)
    return readers[0] if len(readers) == 1 and tensor not in graph.outputs else None


def _adds_constant(graph: Graph, node: NodeProto) -> bool:
    """Whether the node is but a bias."""
    return node.op_type == "Add" and any(
        graph.constant(name) is not None
        or (
            (made := graph.producer(name)) is not None and graph.constant(made.input[0]) is not None
        )
        for name in node.input
    )


@dataclass(frozen=True, slots=True)
class _TfliteTensor:
    """A tensor of a LiteRT interpreter."""

    index: int
    name: str
    scale: float
    """0 where it is not quantized."""
    zero_point: int


def _tflite_outputs(content: bytes, images: NDArray[np.uint8]) -> LayerOutputs:
    """The output of each layer of a TFLite artifact, dequantized."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with captured_native_stderr():
        # The plain kernels: XNNPACK fuses layers to one node, and keeps nothing in between.
        interpreter = Interpreter(
            model_content=content,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    results = _tflite_results(interpreter)
    rows: dict[str, list[NDArray[np.floating]]] = {name: [] for name in results}
    for image in images:
        interpreter.set_tensor(entry["index"], image[None])
        interpreter.invoke()
        for name, tensor in results.items():
            rows[name].append(_dequantized(interpreter.get_tensor(tensor.index), tensor))
    return {name: np.concatenate(values) for name, values in rows.items()}


def _tflite_results(interpreter: Any) -> dict[str, _TfliteTensor]:
    """Every layer's name, and the tensor that holds its result."""
    tensors = {
        detail["index"]: _TfliteTensor(detail["index"], detail["name"], *detail["quantization"])
        for detail in interpreter.get_tensor_details()
    }
    results = {}
    for operator, output in _operations(interpreter):
        if operator in _TFLITE_LAYERS:
            results[tflite_layer(tensors[output].name)] = tensors[output]
    return results


def _operations(interpreter: Any) -> list[tuple[str, int]]:
    """Operator and first output tensor of each operation that an interpreter runs, in order.

    No public call lists the operations; LiteRT's own analysis tools use this one.
    """
    return [
        (operation["op_name"], operation["outputs"][0])
        for operation in interpreter._get_ops_details()
    ]


def tflite_operators(content: bytes) -> Counter[str]:
    """How often each operator occurs in what LiteRT makes of a model on this CPU.

    `DELEGATE` stands for all that XNNPACK runs in one piece.
    """
    from ai_edge_litert.interpreter import Interpreter

    with captured_native_stderr():
        interpreter = Interpreter(model_content=content)
        interpreter.allocate_tensors()
    return Counter(operator for operator, _ in _operations(interpreter))


def tflite_layer(tensor: str) -> str:
    """The layer whose result the tensor is.

    The converter joins the names of all operations that it fused, as in
    `model/conv1/Relu;model/conv1/BiasAdd;model/conv1/Conv2D`, in any order. The last layer's result
    is named after the function that returns it.
    """
    paths = [path.split("/") for path in tensor.split(";")]
    for path in paths:
        if len(path) > 1 and path[-1].startswith(_TFLITE_OPERATIONS):
            return path[-2].removeprefix("quant_")
    return paths[0][-2].removeprefix("quant_") if len(paths[0]) > 1 else "logits"


def _dequantized(values: NDArray[Any], tensor: _TfliteTensor) -> NDArray[np.floating]:
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if not tensor.scale:
        raise ExportError(f"{tensor.name} holds {values.dtype} without a scale")
    return np.asarray((values.astype(np.float32) - tensor.zero_point) * np.float32(tensor.scale))
