"""An int8 .tflite artifact as TensorFlow Lite Micro wants it: int8 in and out, batch 1, small.

The weights and the arithmetic are the artifact's; what is left out is what a microcontroller need
not store or compute:

- QUANTIZE from uint8 pixels, which is a subtraction of 128, and DEQUANTIZE to float logits, whose
  order is that of the int8 values;
- columns in pairs (`export.formats.keras_rewrites`), which are faster in XNNPACK, and which cost
  two copies of the largest activation in TensorFlow Lite Micro, whose RESHAPE copies;
- names, metadata, signatures and dynamic shapes, 5 to 10 KB.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from export.errors import ExportError

ALIGNMENT = 16
"""Bytes. The schema's `force_align` of a buffer's data, which the Python writer ignores. A
Cortex-M0+ faults on an int32 bias that is not aligned to 4, SIMD kernels copy what is not to 16."""

_IDENTIFIER = b"TFL3"
_Model: TypeAlias = Any  # schema.ModelT: the generated code has no types
_Graph: TypeAlias = Any  # schema.SubGraphT
_Operator: TypeAlias = Any  # schema.OperatorT
_Tensor: TypeAlias = Any  # schema.TensorT

_CODES: dict[int, str] = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()
}


@dataclass(frozen=True, slots=True)
class IntegerModel:
    """A model for TensorFlow Lite Micro: pixel - 128 as int8 to logits as int8, batch 1."""

    content: bytes
    """The .tflite file."""
    input_shape: tuple[int, int, int]
    """Height, width, channels."""
    classes: int
    operators: tuple[str, ...]
    """Each kind once, by the schema's names, such as CONV_2D, sorted."""
    output_scale: float
    """A logit is this times (the int8 output - `output_zero_point`)."""
    output_zero_point: int
    cmsis_scratch_bytes: int
    """What CMSIS-NN's convolutions want of the arena at most, beside what the reference kernels
    want: four columns of int8 or two of int16, `arm_convolve_s8_get_buffer_size` of CMSIS-NN 7."""

    def logits(self, outputs: NDArray[np.int8]) -> NDArray[np.float32]:
        """Float32 logits of int8 outputs, as DEQUANTIZE computes them."""
        shifted = outputs.astype(np.int32) - self.output_zero_point
        return np.asarray(np.float32(self.output_scale) * shifted.astype(np.float32))


def integer_model(content: bytes) -> IntegerModel:
    """Makes the model of a bundle's .tflite artifact.

    Raises:
        ExportError: it does not compute in int8 throughout.
    """
    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    if len(model.subgraphs) != 1:
        raise ExportError(f"it has {len(model.subgraphs)} graphs, not one")
    graph = model.subgraphs[0]
    _drop_input_quantize(model, graph)
    _drop_output_dequantize(model, graph)
    _require_int8(model, graph)
    _unpair_columns(model, graph)
    _strip(model, graph)
    image, output = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    _, height, width, channels = (int(size) for size in image.shape)
    return IntegerModel(
        content=_pack(model),
        input_shape=(height, width, channels),
        classes=int(output.shape[-1]),
        operators=tuple(sorted({_kind(model, operator) for operator in graph.operators})),
        output_scale=float(output.quantization.scale[0]),
        output_zero_point=int(output.quantization.zeroPoint[0]),
        cmsis_scratch_bytes=_cmsis_scratch_bytes(model, graph),
    )


def _kind(model: _Model, operator: _Operator) -> str:
    code = model.operatorCodes[operator.opcodeIndex]
    return _CODES[max(code.builtinCode, code.deprecatedBuiltinCode)]


def _consumers(graph: _Graph, tensor: int) -> list[_Operator]:
    return [operator for operator in graph.operators if tensor in operator.inputs]


def _drop_input_quantize(model: _Model, graph: _Graph) -> None:
    """The graph then takes what QUANTIZE gave: pixel - 128."""
    (pixels,) = graph.inputs
    readers = _consumers(graph, pixels)
    if len(readers) != 1 or _kind(model, readers[0]) != "QUANTIZE":
        raise ExportError("its input is not quantized to int8: only int8 artifacts can be used")
    (quantized,) = readers[0].outputs
    before, after = (graph.tensors[index].quantization for index in (pixels, quantized))
    if before.scale[0] != after.scale[0] or before.zeroPoint[0] - after.zeroPoint[0] != 128:
        raise ExportError("its first layer does not take pixels - 128")
    graph.operators.remove(readers[0])
    graph.inputs = [quantized]


def _drop_output_dequantize(model: _Model, graph: _Graph) -> None:
    """The graph then gives what DEQUANTIZE took."""
    (logits,) = graph.outputs
    last = next(operator for operator in graph.operators if logits in operator.outputs)
    if _kind(model, last) != "DEQUANTIZE":
        raise ExportError(
            "its output is not dequantized from int8: only int8 artifacts can be used"
        )
    graph.operators.remove(last)
    graph.outputs = [last.inputs[0]]


def _require_int8(model: _Model, graph: _Graph) -> None:
    for operator in graph.operators:
        for index in operator.outputs:
            if graph.tensors[index].type != schema.TensorType.INT8:
                raise ExportError(f"its {_kind(model, operator)} does not compute in int8")


def _unpair_columns(model: _Model, graph: _Graph) -> None:
    """Undoes the pairing of columns: RESHAPE, CONV_2D, RESHAPE become one CONV_2D again.

    The paired kernel holds the plain one twice, one column apart, and zeros: exact in integers.
    """
    for conv in [one for one in graph.operators if _kind(model, one) == "CONV_2D"]:
        before = next((one for one in graph.operators if conv.inputs[0] in one.outputs), None)
        after = _consumers(graph, conv.outputs[0])
        if before is None or len(after) != 1:
            continue
        if {_kind(model, before), _kind(model, after[0])} != {"RESHAPE"}:
            continue
        image = graph.tensors[before.inputs[0]]
        kernel = graph.tensors[conv.inputs[1]]
        bias = graph.tensors[conv.inputs[2]]
        plain = _plain_kernel(_data(model, kernel, np.int8), int(image.shape[-1]))
        if plain is None:
            continue
        filters = plain.shape[0]
        _replace(model, kernel, plain)
        _replace(model, bias, _data(model, bias, np.int32)[:filters])
        conv.inputs[0], conv.outputs[0] = before.inputs[0], after[0].outputs[0]
        graph.operators.remove(before)
        graph.operators.remove(after[0])


def _plain_kernel(paired: NDArray[np.int8], channels: int) -> NDArray[np.int8] | None:
    """(2 f, kh, pairs, 2 c) to (f, kh, 2 pairs - 1, c), or None for a kernel of another kind."""
    twice, height, pairs, width = paired.shape
    if twice % 2 or width != 2 * channels:
        return None
    left, right = paired.reshape(2, twice // 2, height, 2 * pairs, channels)
    if left[:, :, -1].any() or right[:, :, 0].any():
        return None
    if not np.array_equal(left[:, :, :-1], right[:, :, 1:]):
        return None
    return np.ascontiguousarray(left[:, :, :-1])


def _data(model: _Model, tensor: _Tensor, dtype: type[np.generic]) -> NDArray[Any]:
    data = model.buffers[tensor.buffer].data
    return np.frombuffer(np.asarray(data, np.uint8).tobytes(), dtype).reshape(tensor.shape)


def _replace(model: _Model, tensor: _Tensor, values: NDArray[Any]) -> None:
    """New values for a constant; its scales and zero points are those of the first channels."""
    model.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
    tensor.shape = list(values.shape)
    count = values.shape[0]
    for name in ("scale", "zeroPoint", "min", "max"):
        of_channels = getattr(tensor.quantization, name)
        if of_channels is not None:
            setattr(tensor.quantization, name, of_channels[:count])


def _strip(model: _Model, graph: _Graph) -> None:
    """Leaves out what is unused, and what nothing reads on a microcontroller."""
    used = sorted(
        {int(i) for one in graph.operators for i in (*one.inputs, *one.outputs) if i >= 0}
    )
    renumbered = {-1: -1, **{old: new for new, old in enumerate(used)}}
    for operator in graph.operators:
        operator.inputs = [renumbered[int(i)] for i in operator.inputs]
        operator.outputs = [renumbered[int(i)] for i in operator.outputs]
    graph.inputs = [renumbered[int(i)] for i in graph.inputs]
    graph.outputs = [renumbered[int(i)] for i in graph.outputs]
    graph.tensors = [graph.tensors[old] for old in used]
    graph.name = None
    buffers = [schema.BufferT()]  # the first is empty by definition: that of all activations
    for tensor in graph.tensors:
        data = model.buffers[tensor.buffer].data
        tensor.name = tensor.shapeSignature = None
        if tensor.quantization is not None:
            tensor.quantization.min = tensor.quantization.max = None
        tensor.buffer = 0
        if data is not None and len(data):
            tensor.buffer = len(buffers)
            buffers.append(_AlignedBuffer(data=data))
    model.buffers = buffers
    codes = sorted({operator.opcodeIndex for operator in graph.operators})
    model.operatorCodes = [model.operatorCodes[index] for index in codes]
    for operator in graph.operators:
        operator.opcodeIndex = codes.index(operator.opcodeIndex)
    model.description = model.metadata = model.metadataBuffer = model.signatureDefs = None


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]  # the generated code has no types
    """A buffer whose data begins at a multiple of `ALIGNMENT`."""

    def Pack(self, builder: flatbuffers.Builder) -> Any:
        builder.Prep(ALIGNMENT, len(self.data))
        return super().Pack(builder)


def _pack(model: _Model) -> bytes:
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def _cmsis_scratch_bytes(model: _Model, graph: _Graph) -> int:
    columns = [
        int(np.prod(graph.tensors[one.inputs[1]].shape[1:]))
        for one in graph.operators
        if _kind(model, one) == "CONV_2D"
    ]
    return max((4 * -(-column // 16) * 16 for column in columns), default=0)
