"""Which layers could exceed 16 bits on x86 without VNNI, from the weights alone.

Such CPUs add two neighbouring products into 16 bits: see `export.validation.int16_saturation`. A
pair of neighbours saturates where the largest sum that its activations allow is beyond 16 bits:

    sum over both of  w * (q_max if w > 0 else q_min)   >  32767,   or the mirrored  < -32768

with q between 0 and 255, onto which calibration maps the range of the layer's input. With 7-bit
weights (`reduce_range`, |w| <= 64) no pair can: 2 * 64 * 255 = 32,640.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray

from export.passes import Graph
from export.passes.graph import attribute

_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True, slots=True)
class PairBound:
    """The largest sum of two products that one layer could reach, against 16 bits."""

    layer: str
    channels: int
    """Output channels."""
    unsafe_channels: int
    """Of them, those with a pair that could saturate."""
    worst_sum: int
    """The sum of largest magnitude that any pair could reach; 16 bits end at 32,767."""
    input_range: tuple[float, float]
    """The real range that calibration gave the layer's input."""

    DERIVED: ClassVar = ("safe",)

    def __post_init__(self) -> None:
        if not 0 <= self.unsafe_channels <= self.channels:
            raise ValueError(f"{self.unsafe_channels} of {self.channels} channels")

    @property
    def safe(self) -> bool:
        """Whether no pair could saturate."""
        return self.unsafe_channels == 0


def pair_bounds(model: onnx.ModelProto) -> list[PairBound]:
    """Each layer of a graph that multiplies uint8 activations by int8 weights, in its order.

    Depthwise convolutions are not among them: their kernels widen before they multiply. Nor are
    layers whose weights are unsigned, or whose activations have 16 bits.
    """
    graph = Graph(model)
    bounds = []
    for node in graph.nodes:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        activations, weights = (graph.producer(name) for name in node.input[:2])
        if activations is None or weights is None:
            continue
        if {activations.op_type, weights.op_type} != {"DequantizeLinear"}:
            continue
        stored = graph.constant(weights.input[0])
        scale, zero = (graph.constant(name) for name in activations.input[1:3])
        if stored is None or stored.dtype != np.int8 or scale is None or zero is None:
            continue
        rows = summed_rows(node, stored)
        if zero.dtype != np.uint8 or rows is None:
            continue
        low, high = 0, 255
        largest, smallest = pair_sums(rows, low, high)
        unsafe = (largest > _INT16.max) | (smallest < _INT16.min)
        worst = max((int(largest.max()), int(smallest.min())), key=abs)
        step, origin = float(scale), int(zero)
        span = ((low - origin) * step, (high - origin) * step)
        bounds.append(PairBound(node.name, len(rows), int(unsafe.sum()), worst, span))
    return bounds


def summed_rows(node: onnx.NodeProto, weights: NDArray[np.int8]) -> NDArray[np.int8] | None:
    """The weights that one output sums over, (output channels, n), in the kernels' order.

    None for a depthwise convolution, whose kernels do not sum in pairs.
    """
    if node.op_type == "Conv":
        group = attribute(node, "group", 1)
        assert isinstance(group, int)
        if group > 1 and weights.shape[1] == 1:
            return None
        # Output, input, height, width: the input channels go innermost, as pixels lie in memory.
        return np.moveaxis(weights, 1, -1).reshape(len(weights), -1)
    transposed = node.op_type == "Gemm" and bool(attribute(node, "transB", 0))
    return weights if transposed else weights.T


def pair_sums(
    rows: NDArray[np.int8], low: int, high: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each output's largest and smallest sum of two neighbouring products, int64 (outputs,).

    Args:
        rows: int8 (outputs, n); an odd n has a last weight of its own.
        low, high: between what the quantized activations lie.
    """
    wide = rows.astype(np.int64)
    if wide.shape[1] % 2:
        wide = np.pad(wide, ((0, 0), (0, 1)))
    positive, negative = np.maximum(wide, 0), np.minimum(wide, 0)
    largest = (positive * high + negative * low).reshape(len(wide), -1, 2).sum(axis=2)
    smallest = (negative * high + positive * low).reshape(len(wide), -1, 2).sum(axis=2)
    return largest.max(axis=1), smallest.min(axis=1)
