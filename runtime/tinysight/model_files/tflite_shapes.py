"""The TFLite operators that are allowed: their options, types, quantization and shapes.

They are those that `export` and TensorFlow's converter write for its networks. Numbers:
BuiltinOperator and BuiltinOptions of the schema. What is computed, and what a kernel assumes
without a check, is that of https://github.com/tensorflow/tensorflow/tree/master/tensorflow/lite/kernels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinysight.errors import BundleError
from tinysight.model_files.flatbuffer import Fields, TableSchema
from tinysight.model_files.shapes import (
    MAX_DIMENSIONS,
    MAX_WINDOW,
    Shape,
    Work,
    broadcast,
    reduce,
    reshape,
    window,
)

FLOAT32, FLOAT16, INT32, UINT8, INT64, INT16, INT8 = 0, 1, 2, 3, 4, 7, 9
"""TensorType."""
_QUANTIZED = (INT8, INT16, UINT8)
_FLOATS = (FLOAT32, FLOAT16)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of a graph."""

    shape: Shape
    signature: Shape
    """The shape with -1 for what is free."""
    kind: int
    data: NDArray[np.uint8] | None
    """Of a constant."""
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    dimension: int
    """Along which there are several scales."""


Operands = Sequence[Tensor | None]
Check = Callable[[Operands, Tensor, Fields], None]
Infer = Callable[[Operands, Tensor, Fields, Work], Shape]


@dataclass(frozen=True, slots=True)
class Operator:
    """What a node of an operator may look like."""

    name: str
    least: int
    """Inputs that it needs."""
    most: int
    options_type: int
    options: TableSchema | None
    """None where it has none that matter."""
    needs_options: bool
    check: Check
    """Raises BundleError for types, constants or quantization that its kernel does not expect."""
    infer: Infer
    """The shape of the result; raises BundleError."""


@dataclass(frozen=True, slots=True)
class Node:
    """An operator in a graph."""

    operator: Operator
    inputs: tuple[int, ...]
    """Indices of tensors; -1 for one that is left out."""
    output: int
    options: Fields


_ACTIVATIONS = (0, 1, 3)
"""ActivationFunctionType: none, ReLU, ReLU6."""
_SAME, _VALID = 0, 1
"""Padding."""


def _tensor(operands: Operands, i: int) -> Tensor:
    tensor = operands[i] if i < len(operands) else None
    if tensor is None:
        raise BundleError("an input is missing")
    return tensor


def _constants(operands: Operands, i: int) -> tuple[int, ...]:
    """The integers of an input that must be a short constant list."""
    tensor = _tensor(operands, i)
    if tensor.data is None or tensor.kind != INT32 or len(tensor.shape) > 1:
        raise BundleError("an input that must be a constant list of integers is not")
    if tensor.shape and tensor.shape[0] > 2 * MAX_DIMENSIONS:
        raise BundleError(f"a list of {tensor.shape[0]} integers")
    values: list[int] = np.frombuffer(tensor.data.tobytes(), "<i4").tolist()
    return tuple(values)


def _check_scale(tensor: Tensor) -> float | None:
    """The only scale of an activation; None of what is not quantized."""
    if tensor.kind in _FLOATS:
        return None
    if tensor.kind not in _QUANTIZED or len(tensor.scales) != 1:
        raise BundleError("an activation is not quantized by one scale")
    return tensor.scales[0]


def _check_activation(options: Fields) -> None:
    if options.get("activation", 0) not in _ACTIVATIONS:
        raise BundleError(f"the activation {options['activation']} is not allowed")


def _check_weighted(operands: Operands, result: Tensor, options: Fields) -> None:
    """Convolution and dense layer: the combinations of types that have kernels."""
    _check_activation(options)
    values, weights = _tensor(operands, 0), _tensor(operands, 1)
    bias = operands[2] if len(operands) > 2 else None
    kinds = (values.kind, weights.kind, result.kind)
    bias_kinds = {
        (FLOAT32, FLOAT32, FLOAT32): (FLOAT32,),
        (FLOAT32, INT8, FLOAT32): (FLOAT32,),  # weights alone are quantized
        (INT8, INT8, INT8): (INT32,),
        (INT16, INT8, INT16): (INT64, INT32),
    }.get(kinds)
    if bias_kinds is None or (bias is not None and bias.kind not in bias_kinds):
        raise BundleError(f"no kernel for types {kinds}")
    # A weight that float16 holds is the result of a DEQUANTIZE; all others are constants.
    if (weights.data is None and weights.kind != FLOAT32) or (
        bias is not None and bias.data is None and bias.kind != FLOAT32
    ):
        raise BundleError("its weights are not constant")
    if bias is not None and bias.shape != weights.shape[:1]:
        raise BundleError(f"a bias of shape {list(bias.shape)} for {list(weights.shape)}")
    if weights.kind != INT8:
        return
    if len(weights.scales) not in (1, *weights.shape[:1]) or any(weights.zero_points):
        raise BundleError("its weights are not quantized by a scale for each filter")
    if len(weights.scales) > 1 and weights.dimension != 0:
        raise BundleError("its weights are quantized along another dimension")
    scale, out = _check_scale(values), _check_scale(result)
    if scale is not None and out is not None:
        _check_ratio(scale * max(weights.scales), out, 2.0**16)
        if bias is not None and bias.scales and len(bias.scales) not in (1, *bias.shape):
            raise BundleError("its bias is not quantized by a scale for each filter")


def _check_ratio(scale: float, out: float, most: float) -> None:
    """Kernels multiply by the ratio in fixed point; some end the process where it is too large."""
    if not scale / out < most:
        raise BundleError(f"the scales {scale:.3g} and {out:.3g} do not go together")


def _check_like(operands: Operands, result: Tensor, options: Fields) -> None:
    """One input, and a result of its type."""
    _check_activation(options)
    values = _tensor(operands, 0)
    if values.kind != result.kind or values.kind not in (FLOAT32, *_QUANTIZED):
        raise BundleError(f"gives type {result.kind} for {values.kind}")
    if values.kind in (INT8, INT16):
        scale, out = _check_scale(values), _check_scale(result)
        if scale and out:
            _check_ratio(scale, out, 2.0**16)
            _check_ratio(out, scale, 2.0**16)


def _check_moved(operands: Operands, result: Tensor, _: Fields) -> None:
    """Values are moved, not computed."""
    values = _tensor(operands, 0)
    if values.kind != result.kind or values.data is not None:
        raise BundleError(f"gives type {result.kind} for {values.kind}")


def _check_pair(operands: Operands, result: Tensor, options: Fields) -> None:
    """Elementwise arithmetic."""
    _check_activation(options)
    first, second = _tensor(operands, 0), _tensor(operands, 1)
    kinds = (first.kind, second.kind, result.kind)
    if len(set(kinds)) != 1 or first.kind not in (FLOAT32, INT8, INT16):
        raise BundleError(f"no kernel for types {kinds}")
    if first.kind != FLOAT32:
        scales = [_check_scale(tensor) for tensor in (first, second, result)]
        one, two, out = (scale or 1.0 for scale in scales)
        _check_ratio(max(one, two, one * two), out, 2.0**12)
        _check_ratio(max(one, two), min(one, two), 2.0**12)


def _check_quantize(operands: Operands, result: Tensor, _: Fields) -> None:
    values = _tensor(operands, 0)
    if values.kind not in (FLOAT32, *_QUANTIZED) or result.kind not in _QUANTIZED:
        raise BundleError(f"no kernel for types {(values.kind, result.kind)}")
    scale, out = _check_scale(values), _check_scale(result)
    if scale is not None and out is not None:
        _check_ratio(scale, out, 2.0**16)


def _check_dequantize(operands: Operands, result: Tensor, _: Fields) -> None:
    values = _tensor(operands, 0)
    if result.kind != FLOAT32 or values.kind not in (FLOAT16, *_QUANTIZED):
        raise BundleError(f"no kernel for types {(values.kind, result.kind)}")
    if values.kind == FLOAT16 and values.data is None:
        raise BundleError("float16 that is not constant")
    if values.kind != FLOAT16:
        _check_scale(values)


def _check_cast(operands: Operands, result: Tensor, options: Fields) -> None:
    values = _tensor(operands, 0)
    if (values.kind, result.kind) != (UINT8, FLOAT32):
        raise BundleError(f"no cast of type {values.kind} to {result.kind}")
    given = options.get("in_type", 0), options.get("out_type", 0)
    if given not in ((0, 0), (UINT8, FLOAT32)):
        raise BundleError(f"a cast of type {given[0]} to {given[1]}")


def _infer_same(operands: Operands, _: Tensor, __: Fields, work: Work) -> Shape:
    return work.add(_tensor(operands, 0).shape)


def _windows(shape: Shape, kernel: Sequence[int], options: Fields, dilation: str) -> Shape:
    """Height and width of what a window of a size sees in (n, height, width, channels)."""
    padding = options.get("padding", _SAME)
    if padding not in (_SAME, _VALID):
        raise BundleError(f"the padding {padding} is not allowed")
    out = []
    for axis, name in enumerate("hw"):
        stride = options.get(f"stride_{name}", 0)
        dilated = options.get(f"{dilation}_{name}", 1)
        size = shape[1 + axis]
        if padding == _SAME:
            window(1 << 30, kernel[axis], stride, dilated, 0, 0)  # its bounds alone
            out.append(-(-size // stride))
        else:
            out.append(window(size, kernel[axis], stride, dilated, 0, 0))
    return tuple(out)


def _infer_conv(operands: Operands, _: Tensor, options: Fields, work: Work) -> Shape:
    shape, weights = _tensor(operands, 0).shape, _tensor(operands, 1).shape
    if len(shape) != 4 or len(weights) != 4 or shape[3] != weights[3] or 0 in weights:
        raise BundleError(f"weights {list(weights)} on {list(shape)}")
    size = _windows(shape, weights[1:3], options, "dilation")
    return work.add((shape[0], *size, weights[0]), math.prod(weights[1:]))


def _infer_dense(operands: Operands, _: Tensor, options: Fields, work: Work) -> Shape:
    shape, weights = _tensor(operands, 0).shape, _tensor(operands, 1).shape
    if options.get("weights_format", 0) != 0:
        raise BundleError("weights in another order")
    if len(weights) != 2 or len(shape) < 2 or 0 in weights or shape[-1] != weights[1]:
        raise BundleError(f"weights {list(weights)} on {list(shape)}")
    rows = shape[:-1] if options.get("keep_num_dims") else (math.prod(shape[:-1]),)
    return work.add((*rows, weights[0]), weights[1])


def _infer_reshape(operands: Operands, _: Tensor, __: Fields, work: Work) -> Shape:
    shape = _tensor(operands, 0).shape
    return work.add(reshape(shape, _constants(operands, 1), zero_copies=False))


def _infer_pool(operands: Operands, _: Tensor, options: Fields, work: Work) -> Shape:
    shape = _tensor(operands, 0).shape
    kernel = (options.get("filter_h", 0), options.get("filter_w", 0))
    if len(shape) != 4:
        raise BundleError(f"an image of shape {list(shape)}")
    size = _windows(shape, kernel, options, "no dilation")
    if any(k > s for k, s in zip(kernel, shape[1:3], strict=True)):
        raise BundleError(f"a window of {list(kernel)} on {list(shape)}")
    return work.add((shape[0], *size, shape[3]), math.prod(kernel))


def _infer_reduce(operands: Operands, _: Tensor, options: Fields, work: Work) -> Shape:
    shape, axes = _tensor(operands, 0).shape, _constants(operands, 1)
    if len(set(axes)) != len(axes) or not axes:
        raise BundleError(f"axes {list(axes)}")
    keep = bool(options.get("keep_dims", 0))
    return work.add(reduce(shape, axes, keep=keep), math.prod(shape))


def _infer_slice(operands: Operands, _: Tensor, options: Fields, work: Work) -> Shape:
    """Begin and end on each axis, steps of 1, as a crop needs."""
    shape = _tensor(operands, 0).shape
    begin, end, step = (_constants(operands, i) for i in (1, 2, 3))
    if not len(begin) == len(end) == len(step) == len(shape) or set(step) != {1}:
        raise BundleError(f"steps {list(step)} on {list(shape)}")
    if any(options.get(f"{mask}_mask", 0) for mask in ("ellipsis", "new_axis", "shrink_axis")):
        raise BundleError("it makes or drops dimensions")
    if options.get("offset"):
        raise BundleError("ends that count from the beginning")
    out = []
    for axis, size in enumerate(shape):
        first = 0 if options.get("begin_mask", 0) >> axis & 1 else begin[axis]
        last = size if options.get("end_mask", 0) >> axis & 1 else end[axis]
        if not 0 <= first < last <= size:
            raise BundleError(f"from {first} to {last} of {size}")
        out.append(last - first)
    return work.add(tuple(out))


def _infer_pair(operands: Operands, _: Tensor, __: Fields, work: Work) -> Shape:
    shapes = [_tensor(operands, 0).shape, _tensor(operands, 1).shape]
    if max(map(len, shapes)) > 4:
        raise BundleError(f"shapes {list(map(list, shapes))}")
    return work.add(broadcast(shapes))


def _infer_pad(operands: Operands, _: Tensor, __: Fields, work: Work) -> Shape:
    shape = _tensor(operands, 0).shape
    border = _tensor(operands, 1)
    if border.data is None or border.kind != INT32 or border.shape != (len(shape), 2):
        raise BundleError("its border is not two constants for each dimension")
    pads: list[int] = np.frombuffer(border.data.tobytes(), "<i4").tolist()
    if not all(0 <= size <= MAX_WINDOW for size in pads) or len(shape) > 4:
        raise BundleError(f"a border of {max(pads, key=abs)} on {list(shape)}")
    return work.add(tuple(s + pads[2 * i] + pads[2 * i + 1] for i, s in enumerate(shape)))


def _infer_resize(operands: Operands, _: Tensor, options: Fields, work: Work) -> Shape:
    shape, size = _tensor(operands, 0).shape, _constants(operands, 1)
    if len(shape) != 4 or len(size) != 2 or min(size) < 1:
        raise BundleError(f"{list(shape)} to {list(size)}")
    if options.get("align_corners") and options.get("half_pixel_centers"):
        raise BundleError("two rules at once")
    return work.add((shape[0], *size, shape[3]), 4)


_CONV = TableSchema(
    "options",
    (
        ("padding", "byte"),
        ("stride_w", "int"),
        ("stride_h", "int"),
        ("activation", "byte"),
        ("dilation_w", "int"),
        ("dilation_h", "int"),
        ("bias_type", "byte"),
    ),
)
_POOL = TableSchema(
    "options",
    (
        ("padding", "byte"),
        ("stride_w", "int"),
        ("stride_h", "int"),
        ("filter_w", "int"),
        ("filter_h", "int"),
        ("activation", "byte"),
    ),
)
_DENSE = TableSchema(
    "options",
    (
        ("activation", "byte"),
        ("weights_format", "byte"),
        ("keep_num_dims", "bool"),
        ("asymmetric_inputs", "bool"),
        ("bias_type", "byte"),
    ),
)
_SLICE = TableSchema(
    "options",
    (
        ("begin_mask", "int"),
        ("end_mask", "int"),
        ("ellipsis_mask", "int"),
        ("new_axis_mask", "int"),
        ("shrink_axis_mask", "int"),
        ("offset", "bool"),
    ),
)
_REDUCE = TableSchema("options", (("keep_dims", "bool"),))
_RESHAPE = TableSchema("options", (("new_shape", "ints"),))
_CAST = TableSchema("options", (("in_type", "byte"), ("out_type", "byte")))
_PAIR = TableSchema("options", (("activation", "byte"), ("pot_scale_int16", "bool")))
_RESIZE = TableSchema(
    "options",
    (
        ("new_height", "refused"),
        ("new_width", "refused"),
        ("align_corners", "bool"),
        ("half_pixel_centers", "bool"),
    ),
)
_GELU = TableSchema("options", (("approximate", "bool"),))

OPERATORS: dict[int, Operator] = {
    0: Operator("ADD", 2, 2, 11, _PAIR, True, _check_pair, _infer_pair),
    1: Operator("AVERAGE_POOL_2D", 1, 1, 5, _POOL, True, _check_like, _infer_pool),
    3: Operator("CONV_2D", 2, 3, 1, _CONV, True, _check_weighted, _infer_conv),
    6: Operator("DEQUANTIZE", 1, 1, 38, None, False, _check_dequantize, _infer_same),
    9: Operator("FULLY_CONNECTED", 2, 3, 8, _DENSE, True, _check_weighted, _infer_dense),
    17: Operator("MAX_POOL_2D", 1, 1, 5, _POOL, True, _check_like, _infer_pool),
    18: Operator("MUL", 2, 2, 21, _PAIR, True, _check_pair, _infer_pair),
    19: Operator("RELU", 1, 1, 0, None, False, _check_like, _infer_same),
    22: Operator("RESHAPE", 2, 2, 17, _RESHAPE, False, _check_moved, _infer_reshape),
    23: Operator("RESIZE_BILINEAR", 2, 2, 15, _RESIZE, True, _check_like, _infer_resize),
    34: Operator("PAD", 2, 2, 22, None, False, _check_moved, _infer_pad),
    40: Operator("MEAN", 2, 2, 27, _REDUCE, True, _check_like, _infer_reduce),
    41: Operator("SUB", 2, 2, 28, _PAIR, True, _check_pair, _infer_pair),
    45: Operator("STRIDED_SLICE", 4, 4, 32, _SLICE, True, _check_moved, _infer_slice),
    53: Operator("CAST", 1, 1, 37, _CAST, False, _check_cast, _infer_same),
    82: Operator("REDUCE_MAX", 2, 2, 27, _REDUCE, True, _check_like, _infer_reduce),
    114: Operator("QUANTIZE", 1, 1, 89, None, False, _check_quantize, _infer_same),
    150: Operator("GELU", 1, 1, 116, _GELU, False, _check_like, _infer_same),
}
"""By their BuiltinOperator number."""
