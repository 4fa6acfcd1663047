"""TFLite models: what `export` writes, and nothing else, reaches LiteRT.

The tables and the slots of their fields are those of TensorFlow Lite's schema,
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs.
LiteRT trusts a file: a stride of 0 or a scale that is no number ends the process. So operators,
their options, shapes, types and quantization are checked here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.errors import BundleError
from tinysight.model_files.flatbuffer import Fields, Reader, TableSchema
from tinysight.model_files.shapes import (
    BATCH,
    MAX_DIMENSIONS,
    MAX_NODES,
    MAX_TENSORS,
    Shape,
    Work,
    check_shape,
)
from tinysight.model_files.tflite_shapes import (
    FLOAT16,
    FLOAT32,
    INT8,
    INT16,
    INT32,
    INT64,
    OPERATORS,
    UINT8,
    Node,
    Operator,
    Tensor,
)

_MODEL = TableSchema(
    "model",
    (
        ("version", "uint"),
        ("operator_codes", "tables"),
        ("subgraphs", "tables"),
        ("description", "string"),
        ("buffers", "tables"),
        ("metadata_buffer", "ints"),
        ("metadata", "tables"),
        ("signature_defs", "tables"),
        ("external buffer groups", "refused"),
        ("external buffers", "refused"),
    ),
)
_CODE = TableSchema(
    "operator code",
    (
        ("deprecated_code", "byte"),
        ("a custom operator", "refused"),
        ("version", "int"),
        ("code", "int"),
    ),
)
_SUBGRAPH = TableSchema(
    "subgraph",
    (
        ("tensors", "tables"),
        ("inputs", "ints"),
        ("outputs", "ints"),
        ("operators", "tables"),
        ("name", "string"),
        ("debug_metadata_index", "int"),
    ),
)
_TENSOR = TableSchema(
    "tensor",
    (
        ("shape", "ints"),
        ("type", "byte"),
        ("buffer", "uint"),
        ("name", "string"),
        ("quantization", "table"),
        ("is_variable", "bool"),
        ("sparsity", "refused"),
        ("shape_signature", "ints"),
        ("has_rank", "bool"),
        ("variant tensors", "refused"),
        ("an external buffer", "refused"),
    ),
)
_QUANTIZATION = TableSchema(
    "quantization",
    (
        ("min", "floats"),
        ("max", "floats"),
        ("scale", "floats"),
        ("zero_point", "longs"),
        ("details_type", "refused"),
        ("details", "refused"),
        ("dimension", "int"),
    ),
)
_OPERATOR = TableSchema(
    "operator",
    (
        ("opcode_index", "uint"),
        ("inputs", "ints"),
        ("outputs", "ints"),
        ("options_type", "ubyte"),
        ("options", "table"),
        ("custom options", "refused"),
        ("custom_options_format", "byte"),
        ("mutating_variable_inputs", "bytes"),
        ("intermediates", "ints"),
        ("large custom options", "refused"),
        ("large custom options", "refused"),
        ("options of the second kind", "refused"),
        ("options of the second kind", "refused"),
        ("debug_metadata_index", "int"),
    ),
)
_BUFFER = TableSchema(
    "buffer", (("data", "data"), ("data outside of it", "refused"), ("size", "refused"))
)
_METADATA = TableSchema("metadata", (("name", "string"), ("buffer", "uint")))
_SIGNATURE = TableSchema(
    "signature",
    (
        ("inputs", "tables"),
        ("outputs", "tables"),
        ("key", "string"),
        ("deprecated_tag", "string"),
        ("subgraph_index", "uint"),
    ),
)
_TENSOR_NAME = TableSchema("signature's tensor", (("name", "string"), ("tensor", "uint")))

_IDENTIFIER = b"TFL3"
_VERSION = 3
_SIZES = {FLOAT32: 4, FLOAT16: 2, INT32: 4, UINT8: 1, INT64: 8, INT16: 2, INT8: 1}
"""Bytes of an element of the types that are allowed."""
_NAMES = {FLOAT32: "float32", UINT8: "uint8", INT8: "int8", INT32: "int32", INT16: "int16"}
_ZERO_POINTS = {INT8: (-128, 127), UINT8: (0, 255), INT16: (0, 0), INT32: (0, 0), INT64: (0, 0)}
_SCALES = (1e-20, 1e10)
"""What a scale may be. Converters write some millionths to some tens."""
_METADATA_NAMES = {"min_runtime_version", "CONVERSION_METADATA", "reduced_precision_support"}
"""LiteRT acts on others, such as the order in which operators may run."""


@dataclass(frozen=True, slots=True)
class _Graph:
    """The only subgraph, its tensors read and no operator yet."""

    tensors: tuple[Tensor, ...]
    image: int
    logits: int
    operators: tuple[Fields, ...]


def check_model(content: bytes, shape: tuple[int, int], classes: int) -> None:
    """Checks a model before an engine sees it.

    Args:
        content: the .tflite file.
        shape: height and width of its input.
        classes: the number of its logits.

    Raises:
        BundleError: it is not one graph of known operators, with all of its data in the file and
            bounded, from uint8 (n, height, width, 3) to float32 (n, classes) for any n.
    """
    reader = Reader(content, MAX_TENSORS)
    model = reader.table(_MODEL, reader.root(_IDENTIFIER))
    if model.get("version") != _VERSION:
        raise BundleError(f"a TFLite file of version {model.get('version', 0)}")
    buffers = [reader.table(_BUFFER, at).get("data") for at in model.get("buffers", [])]
    if not buffers or (buffers[0] is not None and len(buffers[0])):
        raise BundleError("its first buffer is not empty")
    _check_metadata(reader, model, len(buffers))
    if len(model.get("subgraphs", [])) != 1:
        raise BundleError(f"it has {len(model.get('subgraphs', []))} graphs, not one")
    graph = _read_graph(reader, model["subgraphs"][0], buffers)
    _check_signatures(reader, model, len(graph.tensors))
    _check_contract(graph, shape, classes)
    codes = [_read_code(reader.table(_CODE, at)) for at in model.get("operator_codes", [])]
    nodes = [_read_node(reader, fields, codes, graph) for fields in graph.operators]
    _check_order(nodes, graph)
    for batch in (1, BATCH):  # as the file is written for, and for another one
        _infer(nodes, graph, batch, (batch, *shape, 3), (batch, classes))


def _check_metadata(reader: Reader, model: Fields, buffers: int) -> None:
    for at in model.get("metadata", []):
        entry = reader.table(_METADATA, at)
        if entry.get("name") not in _METADATA_NAMES or entry.get("buffer", 0) >= buffers:
            raise BundleError(f"the metadata {entry.get('name')!r:.60} is not allowed")
    if not all(0 <= int(i) < buffers for i in model.get("metadata_buffer", [])):
        raise BundleError("metadata of a buffer that is not there")


def _check_signatures(reader: Reader, model: Fields, tensors: int) -> None:
    for at in model.get("signature_defs", []):
        signature = reader.table(_SIGNATURE, at)
        places = [*signature.get("inputs", []), *signature.get("outputs", [])]
        named = [reader.table(_TENSOR_NAME, place) for place in places]
        if signature.get("subgraph_index", 0) != 0 or "key" not in signature:
            raise BundleError("a signature of another graph")
        if any("name" not in one or one.get("tensor", 0) >= tensors for one in named):
            raise BundleError("a signature of a tensor that is not there")


def _read_graph(reader: Reader, at: int, buffers: Sequence[NDArray[np.uint8] | None]) -> _Graph:
    fields = reader.table(_SUBGRAPH, at)
    places = fields.get("tensors", [])
    tensors = tuple(_read_tensor(reader.table(_TENSOR, p), reader, buffers) for p in places)
    inputs, outputs = (fields.get(side, np.empty(0, "<i4")) for side in ("inputs", "outputs"))
    for side, found in (("inputs", inputs), ("outputs", outputs)):
        if len(found) != 1 or not 0 <= int(found[0]) < len(tensors):
            raise BundleError(f"it has {len(found)} {side}, not one")
    operators = fields.get("operators", [])
    if not 0 < len(operators) <= MAX_NODES:
        raise BundleError(f"{len(operators)} operators, allowed are {MAX_NODES:,}")
    read = tuple(reader.table(_OPERATOR, place) for place in operators)
    return _Graph(tensors, int(inputs[0]), int(outputs[0]), read)


def _read_tensor(
    fields: Fields, reader: Reader, buffers: Sequence[NDArray[np.uint8] | None]
) -> Tensor:
    kind = fields.get("type", 0)
    if kind not in _SIZES:
        raise BundleError(f"a tensor of the type {kind}")
    if fields.get("is_variable"):
        raise BundleError("a tensor that is kept between two calls")
    shape = tuple(fields.get("shape", np.empty(0, "<i4"))[: MAX_DIMENSIONS + 1].tolist())
    elements = check_shape(shape)
    signature = tuple(fields.get("shape_signature", ())[: MAX_DIMENSIONS + 1])
    free = tuple(-1 if size == -1 else int(size) for size in signature) or shape
    if len(free) != len(shape) or any(a not in (-1, b) for a, b in zip(free, shape, strict=True)):
        raise BundleError(f"a shape {list(shape)} and another one, {list(free)}")
    index = fields.get("buffer", 0)
    if index >= len(buffers):
        raise BundleError("a tensor of a buffer that is not there")
    data = buffers[index]
    if data is not None and len(data) == 0:
        data = None
    if data is not None and len(data) != elements * _SIZES[kind]:
        raise BundleError(f"{len(data):,} bytes of data for the shape {list(shape)}")
    if data is None and 0 in shape:
        raise BundleError(f"a tensor of the shape {list(shape)}")
    scales, zero_points, dimension = _read_quantization(fields, reader, kind, shape)
    return Tensor(shape, free, kind, data, scales, zero_points, dimension)


def _read_quantization(
    fields: Fields, reader: Reader, kind: int, shape: Shape
) -> tuple[tuple[float, ...], tuple[int, ...], int]:
    """Scales, zero points and their dimension; no scales for what is not quantized."""
    if "quantization" not in fields:
        return (), (), 0
    quantization = reader.table(_QUANTIZATION, fields["quantization"])
    scales: NDArray[Any] = quantization.get("scale", np.empty(0, "<f4"))
    zeros: NDArray[Any] = quantization.get("zero_point", np.empty(0, "<i8"))
    dimension = int(quantization.get("dimension", 0))
    if len(scales) == 0 and len(zeros) == 0:
        return (), (), 0
    if kind not in _ZERO_POINTS:
        raise BundleError("a scale for a tensor that is not quantized")
    if len(scales) != len(zeros) or len(scales) == 0:
        raise BundleError(f"{len(scales)} scales and {len(zeros)} zero points")
    if not 0 <= dimension < max(len(shape), 1):
        raise BundleError(f"scales along dimension {dimension} of {len(shape)}")
    if len(scales) > 1 and shape[dimension : dimension + 1] != (len(scales),):
        raise BundleError(f"{len(scales)} scales for the shape {list(shape)}")
    if not ((scales >= _SCALES[0]) & (scales <= _SCALES[1])).all():
        raise BundleError(f"a scale outside of {_SCALES[0]:g} to {_SCALES[1]:g}")
    lowest, highest = _ZERO_POINTS[kind]
    if not ((zeros >= lowest) & (zeros <= highest)).all():
        raise BundleError(f"a zero point outside of {lowest} to {highest}")
    return tuple(scales.tolist()), tuple(zeros.tolist()), dimension


def _read_code(fields: Fields) -> Operator:
    """As LiteRT does: the larger of both codes, of which the old one has one byte."""
    code = max(fields.get("code", 0), fields.get("deprecated_code", 0))
    operator = OPERATORS.get(code)
    if operator is None:
        raise BundleError(f"the operator {code} is not allowed")
    if not 1 <= fields.get("version", 1) <= 32:
        raise BundleError(f"version {fields['version']} of {operator.name}")
    return operator


def _read_node(reader: Reader, fields: Fields, codes: Sequence[Operator], graph: _Graph) -> Node:
    index = fields.get("opcode_index", 0)
    if index >= len(codes):
        raise BundleError("an operator that is not there")
    operator = codes[index]
    inputs = fields.get("inputs", np.empty(0, "<i4"))[:64].tolist()
    outputs = fields.get("outputs", np.empty(0, "<i4"))[:64].tolist()
    if len(fields.get("intermediates", ())) or any(fields.get("mutating_variable_inputs", ())):
        raise BundleError(f"{operator.name}: it keeps something between two calls")
    if not operator.least <= len(inputs) <= operator.most or len(outputs) != 1:
        raise BundleError(f"{operator.name}: {len(inputs)} inputs and {len(outputs)} results")
    for i, tensor in enumerate(inputs):
        optional = tensor == -1 and i >= operator.least
        if not optional and not 0 <= tensor < len(graph.tensors):
            raise BundleError(f"{operator.name}: an input that is not there")
    if not 0 <= outputs[0] < len(graph.tensors):
        raise BundleError(f"{operator.name}: a result that is not there")
    given = fields.get("options_type", 0)
    if operator.options is None or (given == 0 and not operator.needs_options):
        if given not in (0, operator.options_type):
            raise BundleError(f"{operator.name}: options of another operator")
        if given and "options" in fields:  # LiteRT follows their offset: its table must be one
            reader.table(operator.options or TableSchema("options", ()), fields["options"])
        return Node(operator, tuple(inputs), outputs[0], {})
    if given != operator.options_type or "options" not in fields:
        raise BundleError(f"{operator.name}: options of another operator")
    return Node(
        operator, tuple(inputs), outputs[0], reader.table(operator.options, fields["options"])
    )


def _check_contract(graph: _Graph, shape: tuple[int, int], classes: int) -> None:
    for side, index, kind, rest in (
        ("input", graph.image, UINT8, (*shape, 3)),
        ("output", graph.logits, FLOAT32, (classes,)),
    ):
        tensor = graph.tensors[index]
        if tensor.kind != kind or tensor.shape[1:] != rest or tensor.data is not None:
            sizes = ", ".join(map(str, ("n", *tensor.shape[1:])))
            raise BundleError(
                f"it takes and gives something else: its {side} is "
                f"{_NAMES.get(tensor.kind, tensor.kind)} ({sizes}), "
                f"not {_NAMES[kind]} (n, {', '.join(map(str, rest))})"
            )
        if tensor.signature[0] != -1 or tensor.shape[0] != 1:
            raise BundleError(f"its {side} has a fixed batch of {tensor.shape[0]}")


def _check_order(nodes: Sequence[Node], graph: _Graph) -> None:
    """Each result comes from one node, which stands before all that use it."""
    ready = {i for i, tensor in enumerate(graph.tensors) if tensor.data is not None}
    if graph.image in ready:
        raise BundleError("its input is a constant")
    ready.add(graph.image)
    for node in nodes:
        if not all(i == -1 or i in ready for i in node.inputs):
            raise BundleError(f"{node.operator.name}: an input is not computed before")
        if node.output in ready:
            raise BundleError(f"{node.operator.name}: its result is another's")
        ready.add(node.output)
    if graph.logits not in ready or graph.logits == graph.image:
        raise BundleError("its output is not computed")


def _infer(nodes: Sequence[Node], graph: _Graph, batch: int, image: Shape, logits: Shape) -> None:
    """Infers all shapes for a batch, and compares with what the file says for a batch of 1."""
    work, tensors = Work(), list(graph.tensors)
    tensors[graph.image] = replace(tensors[graph.image], shape=image)
    for node in nodes:
        operands = [None if i == -1 else tensors[i] for i in node.inputs]
        result = tensors[node.output]
        try:
            node.operator.check(operands, result, node.options)
            shape = node.operator.infer(operands, result, node.options, work)
        except BundleError as error:
            raise BundleError(f"{node.operator.name}: {error}") from None
        if batch == 1 and shape != result.shape:
            raise BundleError(
                f"{node.operator.name}: gives {list(shape)}, the file says {list(result.shape)}"
            )
        tensors[node.output] = replace(result, shape=shape)
    if tensors[graph.logits].shape != logits:
        raise BundleError(
            f"it gives {list(tensors[graph.logits].shape)} for {batch} images, not {list(logits)}"
        )
