"""The ONNX operators that are allowed, and the shapes of what each gives.

They are those that `export` and its converters write. Semantics:
https://onnx.ai/onnx/operators. Types are left to onnxruntime, which checks them when it loads.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from tinysight.errors import BundleError
from tinysight.model_files.shapes import (
    Shape,
    Work,
    broadcast,
    matmul,
    normal_axis,
    reduce,
    reshape,
    window,
)

Attribute = int | float | bytes | tuple[int, ...]


class Node(NamedTuple):
    """An operator in a graph, its operands' shapes known."""

    operator: str
    inputs: tuple[Shape | None, ...]
    """None for an optional one that is left out."""
    values: tuple[tuple[int, ...] | None, ...]
    """Of the inputs that are short constant lists of integers."""
    outputs: tuple[str, ...]
    attributes: dict[str, Attribute]

    def shape(self, i: int) -> Shape:
        """Of an input that must be there."""
        shape = self.inputs[i] if i < len(self.inputs) else None
        if shape is None:
            raise BundleError("an input is missing")
        return shape

    def integer(self, name: str, default: int) -> int:
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise BundleError(f"{name} is not an integer")
        return value

    def integers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        value = self.attributes.get(name, default)
        if not isinstance(value, tuple):
            raise BundleError(f"{name} is not a list of integers")
        return value

    def constants(self, i: int) -> tuple[int, ...]:
        """The integers of an input, which must not depend on the image."""
        values = self.values[i] if i < len(self.values) else None
        if values is None:
            raise BundleError("an input that must be constant is not")
        return values


class Operator(NamedTuple):
    """What a node of an operator may look like."""

    least: int
    """Inputs that it needs."""
    most: int
    attributes: frozenset[str]
    infer: Callable[[Node, Work], tuple[Shape, ...]]
    """The shapes of the results; raises BundleError."""


def _same(node: Node, work: Work) -> tuple[Shape, ...]:
    return (work.add(node.shape(0)),)


def _quantize(node: Node, work: Work) -> tuple[Shape, ...]:
    """QuantizeLinear, DequantizeLinear: scale and zero point are scalars or lists along an axis."""
    shape, scale = node.shape(0), node.shape(1)
    if len(node.inputs) > 2 and node.shape(2) != scale:
        raise BundleError("scale and zero point are not of one shape")
    if scale not in ((), (1,)):
        axis = normal_axis(node.integer("axis", 1), len(shape))
        if scale != (shape[axis],):
            raise BundleError(f"a scale of shape {list(scale)} for axis {axis} of {list(shape)}")
    return (work.add(shape),)


def _dynamic_quantize(node: Node, work: Work) -> tuple[Shape, ...]:
    return work.add(node.shape(0)), (), ()


def _elementwise(node: Node, work: Work) -> tuple[Shape, ...]:
    return (work.add(broadcast([node.shape(i) for i in range(len(node.inputs))])),)


def _windows(node: Node, shape: Shape, kernel: tuple[int, ...]) -> Shape:
    """Height and width of what a window of a size sees in (n, channels, height, width)."""
    if len(shape) != 4 or len(kernel) != 2:
        raise BundleError(f"a window of {list(kernel)} on {list(shape)}")
    if node.integers("kernel_shape", kernel) != kernel:
        raise BundleError("kernel_shape is not the kernel's")
    if node.attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise BundleError("auto_pad is not allowed")
    if node.integer("ceil_mode", 0) != 0:
        raise BundleError("ceil_mode is not allowed")
    strides, dilations = node.integers("strides", (1, 1)), node.integers("dilations", (1, 1))
    pads = node.integers("pads", (0, 0, 0, 0))
    if len(strides) != 2 or len(dilations) != 2 or len(pads) != 4:
        raise BundleError("strides, dilations or pads are not for two axes")
    return tuple(
        window(shape[2 + i], kernel[i], strides[i], dilations[i], pads[i], pads[2 + i])
        for i in range(2)
    )


def _conv(node: Node, work: Work, bias: int = 2) -> tuple[Shape, ...]:
    shape, weights = node.shape(0), node.shape(1)
    if len(weights) != 4 or len(shape) != 4:
        raise BundleError(f"weights {list(weights)} on {list(shape)}")
    group = node.integer("group", 1)
    if not 1 <= group <= shape[1] or shape[1] != weights[1] * group or weights[0] % group:
        raise BundleError(f"weights {list(weights)} in {group} groups on {list(shape)}")
    if len(node.inputs) > bias and node.shape(bias) != (weights[0],):
        raise BundleError("the bias is not one number a filter")
    size = _windows(node, shape, weights[2:])
    return (work.add((shape[0], weights[0], *size), math.prod(weights[1:])),)


def _conv_integer(node: Node, work: Work) -> tuple[Shape, ...]:
    for i in range(2, len(node.inputs)):
        if node.inputs[i] not in ((), (1,), node.shape(1)[:1]):
            raise BundleError("a zero point is of another shape")
    return _conv(node, work, bias=4)


def _pool(node: Node, work: Work) -> tuple[Shape, ...]:
    shape, kernel = node.shape(0), node.integers("kernel_shape", ())
    size = _windows(node, shape, kernel)
    return (work.add((*shape[:2], *size), math.prod(kernel)),)


def _global_pool(node: Node, work: Work) -> tuple[Shape, ...]:
    shape = node.shape(0)
    if len(shape) != 4:
        raise BundleError(f"an image of shape {list(shape)}")
    return (work.add((*shape[:2], 1, 1), math.prod(shape[2:])),)


def _gemm(node: Node, work: Work) -> tuple[Shape, ...]:
    first, second = node.shape(0), node.shape(1)
    if len(first) != 2 or len(second) != 2:
        raise BundleError(f"a product of {list(first)} and {list(second)}")
    first = first[::-1] if node.integer("transA", 0) else first
    second = second[::-1] if node.integer("transB", 0) else second
    result = matmul(first, second)
    if len(node.inputs) > 2 and broadcast([result, node.shape(2)]) != result:
        raise BundleError(f"a bias of shape {list(node.shape(2))} for {list(result)}")
    return (work.add(result, first[1]),)


def _matmul(node: Node, work: Work) -> tuple[Shape, ...]:
    for i in range(2, len(node.inputs)):  # zero points of MatMulInteger
        if node.inputs[i] not in ((), (1,), node.shape(1)[-1:]):
            raise BundleError("a zero point is of another shape")
    result = matmul(node.shape(0), node.shape(1))
    return (work.add(result, node.shape(0)[-1]),)


def _transpose(node: Node, work: Work) -> tuple[Shape, ...]:
    shape = node.shape(0)
    order = node.integers("perm", tuple(reversed(range(len(shape)))))
    if sorted(order) != list(range(len(shape))):
        raise BundleError(f"{list(order)} is no order of {len(shape)} dimensions")
    return (work.add(tuple(shape[axis] for axis in order)),)


def _flatten(node: Node, work: Work) -> tuple[Shape, ...]:
    shape, axis = node.shape(0), node.integer("axis", 1)
    if axis != len(shape):
        axis = normal_axis(axis, len(shape))
    return (work.add((math.prod(shape[:axis]), math.prod(shape[axis:]))),)


def _reshape(node: Node, work: Work) -> tuple[Shape, ...]:
    zero_copies = node.integer("allowzero", 0) == 0
    return (work.add(reshape(node.shape(0), node.constants(1), zero_copies=zero_copies)),)


def _reduce(node: Node, work: Work) -> tuple[Shape, ...]:
    """The axes are an attribute before opset 18, an input from there on; without any, all are."""
    shape, keep = node.shape(0), node.integer("keepdims", 1) != 0
    axes = node.constants(1) if len(node.inputs) > 1 else node.integers("axes", ())
    if not axes:
        if node.integer("noop_with_empty_axes", 0):
            return (work.add(shape),)
        axes = tuple(range(len(shape)))
    return (work.add(reduce(shape, axes, keep=keep), math.prod(shape)),)


_WINDOW = frozenset({"kernel_shape", "strides", "dilations", "pads", "group", "auto_pad"})
_POOL = frozenset({*_WINDOW, "ceil_mode", "storage_order", "count_include_pad"}) - {"group"}
_REDUCE = frozenset({"axes", "keepdims", "noop_with_empty_axes"})
_QUANTIZE = frozenset({"axis", "saturate", "block_size", "output_dtype"})
_NONE: frozenset[str] = frozenset()

OPERATORS: dict[str, Operator] = {
    **{name: Operator(1, 1, _NONE, _same) for name in ("Relu", "Identity", "Erf")},
    "LeakyRelu": Operator(1, 1, frozenset({"alpha"}), _same),
    "Cast": Operator(1, 1, frozenset({"to", "saturate"}), _same),
    "Clip": Operator(1, 3, _NONE, _same),
    "QuantizeLinear": Operator(2, 3, _QUANTIZE, _quantize),
    "DequantizeLinear": Operator(2, 3, _QUANTIZE, _quantize),
    "DynamicQuantizeLinear": Operator(1, 1, _NONE, _dynamic_quantize),
    **{name: Operator(2, 2, _NONE, _elementwise) for name in ("Add", "Sub", "Mul", "Div")},
    "Conv": Operator(2, 3, _WINDOW, _conv),
    "ConvInteger": Operator(2, 4, _WINDOW, _conv_integer),
    "MaxPool": Operator(1, 1, _POOL, _pool),
    "AveragePool": Operator(1, 1, _POOL, _pool),
    "GlobalAveragePool": Operator(1, 1, _NONE, _global_pool),
    "GlobalMaxPool": Operator(1, 1, _NONE, _global_pool),
    "Gemm": Operator(2, 3, frozenset({"alpha", "beta", "transA", "transB"}), _gemm),
    "MatMul": Operator(2, 2, _NONE, _matmul),
    "MatMulInteger": Operator(2, 4, _NONE, _matmul),
    "Transpose": Operator(1, 1, frozenset({"perm"}), _transpose),
    "Flatten": Operator(1, 1, frozenset({"axis"}), _flatten),
    "Reshape": Operator(2, 2, frozenset({"allowzero"}), _reshape),
    **{n: Operator(1, 2, _REDUCE, _reduce) for n in ("ReduceMean", "ReduceMax", "ReduceSum")},
}  # fmt: skip
