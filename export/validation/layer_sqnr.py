"""Where in the network an artifact's values leave those of float32, layer by layer."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper

from export.passes import ExportError, Graph
from export.recipes import Format

BOUND_DB = 25.0
"""A layer has left float32 when its error's power is more than 1/316 of its signal's (5.6 % of its
root mean square). 8 bits leave 30 to 45 dB where their range fits the values."""

Values = Mapping[str, NDArray[np.floating]]
"""A layer's name to what it gave, float (n, …), in the order of the network."""

_LAYERS = {"Conv", "Gemm", "MatMul", "ConvInteger", "MatMulInteger", "Add", "GlobalAveragePool"}
# What belongs to the layer in front of it: its result is looked at behind these.
_COMES_WITH = {"Relu", "Clip", "LeakyRelu", "Cast", "QuantizeLinear", "Mul"}
_DYNAMIC = re.compile(r"(_MatMul)?_quant$")  # what onnxruntime's dynamic quantizer appends
_TFLITE_LAYERS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD"}
_TFLITE_OPERATIONS = ("Conv2D", "DepthwiseConv2D", "depthwise", "MatMul", "add")


@dataclass(frozen=True, slots=True)
class Divergence:
    """An artifact's layers against those of float32."""

    images: int
    layers: Mapping[str, float]
    """Signal to noise in dB, by layer, in the order of the network; infinity where equal."""
    bound: float = BOUND_DB

    def __post_init__(self) -> None:
        if self.images < 1 or not self.layers:
            raise ValueError("a divergence needs images, and layers")

    @property
    def first(self) -> str | None:
        """The first layer with more noise than the bound allows; None where none has."""
        return next((name for name, db in self.layers.items() if not db >= self.bound), None)

    def as_json(self) -> dict[str, Any]:
        """`null` stands for a layer without any difference: JSON has no infinity."""
        return {
            "images": self.images,
            "bound_db": self.bound,
            "first": self.first,
            "layers_db": {
                name: round(db, 1) if math.isfinite(db) else None
                for name, db in self.layers.items()
            },
        }


def layer_values(content: bytes, format_: Format, images: NDArray[np.uint8]) -> Values:
    """What each layer of an artifact gives for some dozens of uint8 images (n, h, w, 3)."""
    return (_onnx_values if format_ == "onnx" else _tflite_values)(content, images)


def divergence(wanted: Values, found: Values) -> Divergence | None:
    """Compares what the layers of two artifacts gave for the same images.

    Args:
        wanted: of the float32 artifact, from `layer_values`.
        found: of another one, of the same network and format.

    Returns:
        None where they have no layer in common by name, so that there is nothing to compare.
    """
    layers = {
        name: signal_to_noise(wanted[name], found[name])
        for name in wanted
        if name in found and wanted[name].shape == found[name].shape
    }
    return Divergence(len(next(iter(wanted.values()))), layers) if layers else None


def signal_to_noise(wanted: NDArray[np.floating], found: NDArray[np.floating]) -> float:
    """10 log10 of the power of `wanted` over that of its difference from `found`; dB.

    Infinity where they are equal, minus infinity where the signal is zero and the other is not, or
    where one of them is no number.
    """
    exact = wanted.astype(np.float64)
    noise = float(np.square(exact - found.astype(np.float64)).sum())
    signal = float(np.square(exact).sum())
    if noise == 0:
        return math.inf
    if not signal > 0 or not math.isfinite(noise):
        return -math.inf
    return 10 * math.log10(signal / noise)


def _onnx_values(content: bytes, images: NDArray[np.uint8]) -> Values:
    import onnxruntime

    graph = Graph.copy_of(onnx.load_from_string(content))
    results = dict(_results(graph))
    inferred = onnx.shape_inference.infer_shapes(graph.model).graph
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in (*inferred.value_info, *inferred.output)
    }
    wanted = list(dict.fromkeys(results.values()))
    for tensor in wanted:
        if tensor not in graph.outputs:
            value = helper.make_tensor_value_info(tensor, types[tensor], None)
            graph.model.graph.output.append(value)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        graph.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    given = dict(zip(wanted, session.run(wanted, {graph.inputs[0]: images}), strict=True))
    return {name: _in_float(graph, tensor, given[tensor]) for name, tensor in results.items()}


def _in_float(graph: Graph, tensor: str, values: NDArray[Any]) -> NDArray[np.floating]:
    """A result as numbers: where a QuantizeLinear made it, by its scale and zero point."""
    made = graph.producer(tensor)
    if made is None or made.op_type != "QuantizeLinear":
        return values
    scale, zero_point = (graph.constant(name) for name in made.input[1:3])
    if scale is None or zero_point is None:
        raise ExportError(f"{made.name} quantizes by what is no constant")
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


def _tflite_values(content: bytes, images: NDArray[np.uint8]) -> Values:
    """What each layer of a TFLite artifact gives, dequantized."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    from tinysight.console import captured_native_stderr

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
        for name, detail in results.items():
            rows[name].append(_dequantized(interpreter.get_tensor(detail["index"]), detail))
    return {name: np.concatenate(values) for name, values in rows.items()}


def _tflite_results(interpreter: Any) -> dict[str, dict[str, Any]]:
    """Every layer's name, and the details of the tensor in which its result stands."""
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    results = {}
    # No public call lists the operations; LiteRT's own analysis tools use this one.
    for operation in interpreter._get_ops_details():
        if operation["op_name"] in _TFLITE_LAYERS:
            detail = details[operation["outputs"][0]]
            results[tflite_layer(detail["name"])] = detail
    return results


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


def _dequantized(values: NDArray[Any], detail: Mapping[str, Any]) -> NDArray[np.floating]:
    scale, zero_point = detail["quantization"]
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if not scale:
        raise ExportError(f"{detail['name']} holds {values.dtype} without a scale")
    return np.asarray((values.astype(np.float32) - zero_point) * np.float32(scale))
