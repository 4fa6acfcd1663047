"""ONNX models: what `export` writes, and nothing else, reaches onnxruntime.

The messages and the numbers of their fields are those of onnx.proto,
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Refused before the engine sees them: data
outside the file, operators of other domains or unknown ones, subgraphs and functions, tensors
whose data is not as long as their shape says, a fixed batch, and other inputs or outputs than
uint8 images and float32 logits.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinysight.errors import BundleError
from tinysight.model_files import protobuf
from tinysight.model_files.onnx_shapes import OPERATORS, Node
from tinysight.model_files.protobuf import Message, Schema
from tinysight.model_files.shapes import (
    BATCH,
    MAX_DIMENSIONS,
    MAX_NODES,
    MAX_TENSORS,
    Shape,
    Work,
    check_shape,
)

_MODEL = Schema(
    "model",
    {
        1: ("ir_version", "int"),
        2: ("producer_name", "text"),
        3: ("producer_version", "text"),
        4: ("domain", "text"),
        5: ("model_version", "int"),
        6: ("doc_string", "text"),
        7: ("graph", "bytes"),
        8: ("opset_import", "parts"),
        14: ("metadata_props", "parts"),
    },
    {20: "training_info", 25: "a function"},
)
_OPSET = Schema("opset", {1: ("domain", "text"), 2: ("version", "int")}, {})
_GRAPH = Schema(
    "graph",
    {
        1: ("node", "parts"),
        2: ("name", "text"),
        5: ("initializer", "parts"),
        10: ("doc_string", "text"),
        11: ("input", "parts"),
        12: ("output", "parts"),
    },
    {13: "value_info", 14: "quantization_annotation", 15: "a sparse initializer"},
)
_NODE = Schema(
    "node",
    {
        1: ("input", "texts"),
        2: ("output", "texts"),
        3: ("name", "text"),
        4: ("op_type", "text"),
        5: ("attribute", "parts"),
        6: ("doc_string", "text"),
        7: ("domain", "text"),
    },
    {},
)
_ATTRIBUTE = Schema(
    "attribute",
    {
        1: ("name", "text"),
        2: ("f", "float"),
        3: ("i", "int"),
        4: ("s", "bytes"),
        7: ("floats", "floats"),
        8: ("ints", "ints"),
        13: ("doc_string", "text"),
        20: ("type", "int"),
    },
    {5: "a tensor", 6: "a subgraph", 10: "tensors", 11: "subgraphs", 21: "a reference"},
)
_TENSOR = Schema(
    "tensor",
    {
        1: ("dims", "ints"),
        2: ("data_type", "int"),
        4: ("float_data", "floats"),
        5: ("int32_data", "ints"),
        7: ("int64_data", "ints"),
        8: ("name", "text"),
        9: ("raw_data", "bytes"),
        12: ("doc_string", "text"),
        14: ("data_location", "int"),
    },
    {3: "a segment", 6: "string data", 13: "external data"},
)
_VALUE = Schema("value", {1: ("name", "text"), 2: ("type", "bytes"), 3: ("doc_string", "text")}, {})
_TYPE = Schema("type", {1: ("tensor_type", "bytes"), 6: ("denotation", "text")}, {})
_TENSOR_TYPE = Schema("tensor type", {1: ("elem_type", "int"), 2: ("shape", "bytes")}, {})
_SHAPE = Schema("shape", {1: ("dim", "parts")}, {})
_DIMENSION = Schema(
    "dimension", {1: ("value", "int"), 2: ("symbol", "text"), 3: ("denotation", "text")}, {}
)

_FLOAT, _UINT8, _INT8, _UINT16, _INT16, _INT32, _INT64, _BOOL, _FLOAT16 = 1, 2, 3, 4, 5, 6, 7, 9, 10
_DATA = {
    _FLOAT: (4, "float_data"),
    _UINT8: (1, "int32_data"),
    _INT8: (1, "int32_data"),
    _UINT16: (2, "int32_data"),
    _INT16: (2, "int32_data"),
    _INT32: (4, "int32_data"),
    _INT64: (8, "int64_data"),
    _BOOL: (1, "int32_data"),
    _FLOAT16: (2, "int32_data"),
}
"""TensorProto.DataType: bytes of an element, and the field where it stands if not in raw_data."""

_NAMES = {_FLOAT: "float32", _UINT8: "uint8", _INT8: "int8", _INT64: "int64", _FLOAT16: "float16"}

_DOMAINS = ("", "ai.onnx")
_UNUSED_DOMAINS = ("ai.onnx.ml",)
"""tf2onnx declares it, and its operators are refused as those of any other domain."""
_OPSETS = range(7, 27)
_IR_VERSIONS = range(3, 15)
_MAX_ATTRIBUTES = 16
_MAX_OPERANDS = 64
_SMALL = 64
"""Integers of a tensor that may be a shape or a list of axes, and is therefore decoded."""


class _Tensor(NamedTuple):
    """An initializer; `values` of a short one of int64."""

    name: str
    shape: Shape
    values: tuple[int, ...] | None


def check_model(content: bytes, shape: tuple[int, int], classes: int) -> None:
    """Checks a model before an engine sees it.

    Args:
        content: the .onnx file.
        shape: height and width of its input.
        classes: the number of its logits.

    Raises:
        BundleError: it is not one graph of known operators, with all of its data in the file and
            bounded, from uint8 (n, height, width, 3) to float32 (n, classes) for any n.
    """
    model = protobuf.read(_MODEL, memoryview(content))
    if model.get("ir_version") not in _IR_VERSIONS:
        raise BundleError(f"an ONNX file of IR version {model.get('ir_version')}")
    _check_opsets(model.get("opset_import", []))
    if "graph" not in model:
        raise BundleError("it has no graph")
    graph = protobuf.read(_GRAPH, model["graph"])
    nodes, initializers = graph.get("node", []), graph.get("initializer", [])
    if not 0 < len(nodes) <= MAX_NODES:
        raise BundleError(f"{len(nodes)} operators, allowed are {MAX_NODES:,}")
    if len(initializers) > MAX_TENSORS:
        raise BundleError(f"more than {MAX_TENSORS:,} tensors")
    tensors = [_read_tensor(data) for data in initializers]
    image = _read_contract(graph, "input", _UINT8, (*shape, 3))
    output = _read_contract(graph, "output", _FLOAT, (classes,))

    shapes: dict[str, Shape] = {tensor.name: tensor.shape for tensor in tensors}
    if len(shapes) != len(tensors) or image in shapes or "" in shapes or not image:
        raise BundleError("two of its tensors have one name")
    values = {tensor.name: tensor.values for tensor in tensors if tensor.values is not None}
    shapes[image] = (BATCH, *shape, 3)
    _infer(nodes, shapes, values)
    if shapes.get(output) != (BATCH, classes) or output in values or output == image:
        raise BundleError(
            f"it gives {list(shapes.get(output, ()))} for {BATCH} images, not {[BATCH, classes]}"
        )


def _check_opsets(parts: Sequence[memoryview]) -> None:
    if not 0 < len(parts) <= _SMALL:
        raise BundleError("it names no operator set")
    for data in parts:
        opset = protobuf.read(_OPSET, data)
        domain, version = opset.get("domain", ""), opset.get("version", 0)
        if domain in _DOMAINS and version not in _OPSETS:
            raise BundleError(f"operators of version {version}")
        if domain not in (*_DOMAINS, *_UNUSED_DOMAINS):
            raise BundleError(f"operators of the domain {domain!r:.60} are not allowed")


def _infer(
    nodes: Sequence[memoryview],
    shapes: dict[str, Shape],
    values: dict[str, tuple[int, ...]],
) -> None:
    """Adds the shapes of all results to those of the input and of the initializers."""
    work = Work()
    for data in nodes:
        node = _read_node(data, shapes, values)
        operator = OPERATORS[node.operator]
        try:
            results = operator.infer(node, work)
        except BundleError as error:
            raise BundleError(f"{node.operator}: {error}") from None
        if len(node.outputs) != len(results):
            raise BundleError(f"{node.operator}: {len(node.outputs)} results")
        for name, result in zip(node.outputs, results, strict=True):
            if name in shapes or not name:
                raise BundleError(f"two of its tensors are called {name!r:.60}")
            shapes[name] = result


def _read_node(
    data: memoryview, shapes: dict[str, Shape], values: dict[str, tuple[int, ...]]
) -> Node:
    message = protobuf.read(_NODE, data)
    operator, domain = message.get("op_type", ""), message.get("domain", "")
    if domain not in _DOMAINS:
        raise BundleError(f"operators of the domain {domain!r:.60} are not allowed")
    known = OPERATORS.get(operator)
    if known is None:
        raise BundleError(f"the operator {operator!r:.60} is not allowed")
    inputs = message.get("input", [])
    while inputs and not inputs[-1]:  # an optional input that is left out
        inputs.pop()
    if not known.least <= len(inputs) <= min(known.most, _MAX_OPERANDS):
        raise BundleError(f"{operator}: {len(inputs)} inputs")
    operands = []
    for name in inputs:
        if name and name not in shapes:
            raise BundleError(f"{operator}: {name!r:.60} is not computed before")
        operands.append(shapes[name] if name else None)
    return Node(
        operator=operator,
        inputs=tuple(operands),
        values=tuple(values.get(name) for name in inputs),
        outputs=tuple(message.get("output", [])),
        attributes=_read_attributes(operator, message.get("attribute", []), known.attributes),
    )


def _read_attributes(
    operator: str, parts: Sequence[memoryview], allowed: frozenset[str]
) -> dict[str, int | float | bytes | tuple[int, ...]]:
    if len(parts) > _MAX_ATTRIBUTES:
        raise BundleError(f"{operator}: {len(parts)} attributes")
    attributes: dict[str, int | float | bytes | tuple[int, ...]] = {}
    for data in parts:
        message = protobuf.read(_ATTRIBUTE, data)
        name, kind = message.get("name", ""), message.get("type", 0)
        if name not in allowed or name in attributes:
            raise BundleError(f"{operator}: the attribute {name!r:.60} is not allowed")
        if kind == 1:  # AttributeProto.AttributeType
            attributes[name] = float(message.get("f", 0.0))
        elif kind == 2:
            attributes[name] = int(message.get("i", 0))
        elif kind == 3:
            attributes[name] = bytes(message.get("s", b""))
        elif kind == 7:
            attributes[name] = tuple(protobuf.integers(message.get("ints", []), _SMALL))
        else:
            raise BundleError(f"{operator}: the attribute {name!r:.60} is of another type")
    return attributes


def _read_tensor(data: memoryview) -> _Tensor:
    message = protobuf.read(_TENSOR, data)
    name = message.get("name", "")
    if message.get("data_location", 0) != 0:
        raise BundleError(f"the data of {name!r:.60} lies outside of the file")
    if message.get("data_type") not in _DATA:
        raise BundleError(f"{name!r:.60} is of the type {message.get('data_type')}")
    shape = tuple(protobuf.integers(message.get("dims", []), MAX_DIMENSIONS))
    elements = check_shape(shape)
    size, field = _DATA[message["data_type"]]
    given = [
        key for key in ("float_data", "int32_data", "int64_data", "raw_data") if key in message
    ]
    if given not in ([field], ["raw_data"]) and (given or elements):
        raise BundleError(f"{name!r:.60} has its data in {' and '.join(given) or 'no field'}")
    if given and elements != _count(message, given[0], size):
        raise BundleError(f"{name!r:.60}: its data is not of the shape {list(shape)}")
    values = None
    if message["data_type"] == _INT64 and elements <= _SMALL:
        if "raw_data" in message:
            values = tuple(np.frombuffer(message["raw_data"], "<i8").tolist())
        else:
            values = tuple(protobuf.integers(message.get("int64_data", []), _SMALL))
    return _Tensor(name, shape, values)


def _count(message: Message, field: str, size: int) -> float:
    """How many elements a tensor's data has, of so many bytes each; a fraction is damage."""
    if field == "raw_data":
        return len(message["raw_data"]) / size
    if field == "float_data":
        return protobuf.count_floats(message["float_data"])
    return protobuf.count_integers(message[field])


def _read_contract(graph: Message, side: str, element: int, rest: Shape) -> str:
    """The name of the only input or output, whose type must be the bundle's, with a free batch."""
    if len(graph.get(side, [])) != 1:
        raise BundleError(f"it has {len(graph.get(side, []))} {side}s, not one")
    name, type_, dimensions = _read_value(graph[side][0])
    if type_ != element or dimensions is None or dimensions[1:] != rest:
        sizes = "?" if dimensions is None else ", ".join(str(size or "n") for size in dimensions)
        raise BundleError(
            f"it takes and gives something else: its {side} is {_NAMES.get(type_, type_)} "
            f"({sizes}), not {_NAMES[element]} (n, {', '.join(map(str, rest))})"
        )
    if dimensions[0] is not None:
        raise BundleError(f"its {side} has a fixed batch of {dimensions[0]}")
    return name


def _read_value(data: memoryview) -> tuple[str, int, tuple[int | None, ...] | None]:
    """Name, element type and shape of a value; a dimension that is free is None."""
    value = protobuf.read(_VALUE, data)
    name = value.get("name", "")
    if "type" not in value:
        return name, 0, None
    type_ = protobuf.read(_TYPE, value["type"])
    if "tensor_type" not in type_:
        raise BundleError(f"{name!r:.60} is not a tensor")
    tensor = protobuf.read(_TENSOR_TYPE, type_["tensor_type"])
    element = tensor.get("elem_type", 0)
    if "shape" not in tensor:
        return name, element, None
    parts = protobuf.read(_SHAPE, tensor["shape"]).get("dim", [])
    if len(parts) > MAX_DIMENSIONS:
        raise BundleError(f"{name!r:.60} has {len(parts)} dimensions")
    dimensions = []
    for part in parts:
        dimension = protobuf.read(_DIMENSION, part)
        if "value" in dimension and "symbol" in dimension:
            raise BundleError(f"{name!r:.60} has a dimension of two kinds")
        dimensions.append(dimension.get("value"))
    return name, element, tuple(dimensions)
