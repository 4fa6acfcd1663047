"""Would the int8 arithmetic of another CPU give the same answers?

x86 with VNNI multiplies unsigned activations by signed weights exactly. Without it (AVX2, AVX-512
before Cascade Lake), onnxruntime's kernels use VPMADDUBSW: it adds two neighbouring products
into **16 bits, and saturates**. Two large weights of one sign, times two large activations, then
give 32,767 instead of their sum, and logits change silently. ARM's dot products sum in 32 bits,
and so do onnxruntime's kernels for SSE4.1, and XNNPACK's, which LiteRT runs.
`benchmarks.emulators.saturation` compares all this with what emulated CPUs answer.

The worst case (`export.validation.pair_bounds`) exceeds 16 bits in nearly every layer, while few
activations are that large: `predict_saturation` computes what really saturates. Pixels are large:
it is the first layer.

Source: the Intel 64 manual, PMADDUBSW; onnxruntime's documentation of quantization, "when to use
reduce-range"; the kernels sum with the input channels innermost.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from export.passes import Graph
from export.passes.graph import attribute
from export.passes.reduce_range import reduce_range
from export.validation.pair_bounds import PairBound, pair_bounds, summed_rows
from tinysight.engines.ort import make_session
from tinysight.provenance import SaturationRecord

_INT16 = np.iinfo(np.int16)
_TOLERATED = 1e-3
"""The fraction of a layer's results that may saturate before it counts as a saturating layer."""


@dataclass(frozen=True, slots=True)
class SaturatedAnswers:
    """The logits of some images, computed exactly and with sums of pairs that saturate."""

    exact: NDArray[np.float32]
    """(n, classes)."""
    saturated: NDArray[np.float32]
    """(n, classes)."""
    changed: dict[str, float]
    """By layer that could saturate, the fraction of its results that saturation changes."""


def predict_saturation(
    model: onnx.ModelProto, images: NDArray[np.uint8]
) -> SaturatedAnswers | None:
    """What x86 without VNNI would answer, found on any CPU.

    The graph runs as it is, except for a number that is added to each layer's results: what its
    saturating pairs lose. It follows from the bytes that reach the layer, and so layer by layer.
    `python -m benchmarks saturation` compares the prediction with an emulated Haswell.

    Args:
        model: an artifact in 8 bits, uint8 (n, h, w, 3) to logits.
        images: uint8 (n, h, w, 3), some dozens.

    Returns:
        None where no layer could saturate.
    """
    unsafe = [bound.layer for bound in pair_bounds(model) if not bound.safe]
    if not unsafe:
        return None
    graph, layers = _with_corrections(model, unsafe)
    session = make_session(graph.model.SerializeToString())
    feeds = {graph.inputs[0]: images}
    feeds.update({layer.correction: np.zeros(layer.unit.shape, np.float32) for layer in layers})
    exact = session.run(["logits"], feeds)[0]
    changed = {}
    for layer in layers:
        given = session.run([layer.bytes_in], feeds)[0]
        lost = layer.lost(given)
        changed[layer.name] = float((lost != 0).mean())
        feeds[layer.correction] = (lost * layer.unit).astype(np.float32)
    return SaturatedAnswers(exact, session.run(["logits"], feeds)[0], changed)


def emulate_int16_saturation(
    model: onnx.ModelProto, images: NDArray[np.uint8]
) -> SaturationRecord | None:
    """How far the answers of x86 without VNNI would lie from the exact ones.

    Arguments and None are those of `predict_saturation`.
    """
    found = predict_saturation(model, images)
    if found is None:
        return None
    exact, saturated = found.exact, found.saturated
    error = float(np.abs(saturated - exact).max() / max(float(np.ptp(exact)), 1e-12))
    return SaturationRecord(
        images=len(images),
        same_top1=int((saturated.argmax(axis=1) == exact.argmax(axis=1)).sum()),
        max_relative=float(f"{error:.4g}"),
        changed={name: float(f"{fraction:.3g}") for name, fraction in found.changed.items()},
    )


@dataclass(frozen=True, slots=True)
class SaturationReport:
    """What x86 without VNNI would make of an artifact, and what 7-bit weights would change."""

    layers: tuple[PairBound, ...]
    """All that multiply bytes."""
    emulated: SaturationRecord | None
    """None where no layer could saturate."""
    saturating_layers: tuple[str, ...]
    """The layers that saturate often enough to matter."""
    repaired: SaturationRecord | None
    """With 7-bit weights in the saturating layers; None without any, or where nothing saturates
    then."""


def report_int16_saturation(model: onnx.ModelProto, images: NDArray[np.uint8]) -> SaturationReport:
    """Bounds the sums of pairs, emulates those that could saturate, and tries 7-bit weights.

    The arguments are those of `emulate_int16_saturation`.
    """
    emulated = emulate_int16_saturation(model, images)
    changed = emulated.changed if emulated else {}
    saturating = tuple(name for name, fraction in changed.items() if fraction > _TOLERATED)
    repaired = (
        emulate_int16_saturation(reduce_range(model, saturating), images) if saturating else None
    )
    return SaturationReport(tuple(pair_bounds(model)), emulated, saturating, repaired)


@dataclass(frozen=True)
class _Layer:
    """A layer that multiplies bytes, with what its emulation needs."""

    name: str
    node: onnx.NodeProto
    bytes_in: str
    """The uint8 tensor that it reads."""
    correction: str
    """The graph input that is added to its result."""
    rows: NDArray[np.int8]
    zero_point: int
    unit: NDArray[np.float32]
    """What one step of a sum stands for, in a shape that multiplies the result."""

    def lost(self, given: NDArray[np.uint8]) -> NDArray[np.int64]:
        """What saturation adds to each sum, in the shape of the result."""
        if self.node.op_type != "Conv":
            return lost_to_saturation(given, self.rows)
        group = attribute(self.node, "group", 1)
        assert isinstance(group, int)
        results = []
        for bytes_in, rows in zip(
            np.split(given, group, axis=1), np.split(self.rows, group), strict=True
        ):
            windows = _windows(self.node, bytes_in, self.zero_point)
            n, height, width = windows.shape[:3]
            lost = lost_to_saturation(windows.reshape(n * height * width, -1), rows)
            results.append(np.moveaxis(lost.reshape(n, height, width, -1), -1, 1))
        return np.concatenate(results, axis=1)


def lost_to_saturation(given: NDArray[np.uint8], rows: NDArray[np.int8]) -> NDArray[np.int64]:
    """The sum of saturated pairs minus the sum of exact ones, int64 (n, outputs).

    Args:
        given: uint8 (n, k), the activations.
        rows: int8 (outputs, k), the weights.
    """
    odd = given.shape[1] % 2
    columns = np.ascontiguousarray(np.pad(given, ((0, 0), (0, odd))).T)
    weights = np.pad(rows, ((0, 0), (0, odd))).astype(np.int32)
    lost = np.zeros((len(given), len(weights)), np.int64)
    for first in range(0, len(columns), 2):
        pair = weights[:, first : first + 2]
        # Most pairs cannot: their weights or their bytes are too small, whatever the others are.
        heavy = np.flatnonzero(np.abs(pair).sum(axis=1) * 255 > _INT16.max)
        if not len(heavy):
            continue
        two = columns[first : first + 2]
        large = np.flatnonzero(two[0] > 255 - two[1])  # 128 * 255 is within 16 bits
        if len(large):
            sums = two[:, large].T.astype(np.int32) @ pair[heavy].T
            lost[np.ix_(large, heavy)] += np.clip(sums, _INT16.min, _INT16.max) - sums
    return lost


def _windows(node: onnx.NodeProto, given: NDArray[np.uint8], zero_point: int) -> NDArray[np.uint8]:
    """Every window of a convolution: uint8 (n, height, width, kernel height, kernel width, c)."""
    kernel = attribute(node, "kernel_shape")
    assert isinstance(kernel, list)
    strides = _numbers(node, "strides", [1, 1])
    dilations = _numbers(node, "dilations", [1, 1])
    top, left, bottom, right = _padding(node, given.shape[2:], kernel, strides, dilations)
    padded = np.pad(
        given, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=zero_point
    )
    span = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    seen = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(2, 3))
    picked = seen[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]
    return picked.transpose(0, 2, 3, 4, 5, 1)


def _padding(
    node: onnx.NodeProto,
    size: tuple[int, ...],
    kernel: list[int],
    strides: list[int],
    dilations: list[int],
) -> list[int]:
    """Top, left, bottom, right."""
    auto = attribute(node, "auto_pad", b"NOTSET")
    if auto not in (b"SAME_UPPER", b"SAME_LOWER"):
        return _numbers(node, "pads", [0, 0, 0, 0])
    before, after = [], []
    for length, window, stride, step in zip(size, kernel, strides, dilations, strict=True):
        results = -(-length // stride)
        missing = max(0, (results - 1) * stride + (window - 1) * step + 1 - length)
        less, more = missing // 2, missing - missing // 2
        before.append(less if auto == b"SAME_UPPER" else more)
        after.append(more if auto == b"SAME_UPPER" else less)
    return [*before, *after]


def _numbers(node: onnx.NodeProto, name: str, default: list[int]) -> list[int]:
    value = attribute(node, name, default)
    assert isinstance(value, list)
    return value


def _with_corrections(model: onnx.ModelProto, names: list[str]) -> tuple[Graph, list[_Layer]]:
    """The graph with an input to add to each named layer, and an output of what each reads."""
    graph = Graph.copy_of(model)
    layers = []
    for node in [node for node in graph.nodes if node.name in names]:
        activations, weights = (graph.producer(name) for name in node.input[:2])
        assert activations is not None
        assert weights is not None
        stored = graph.constant(weights.input[0])
        step, zero = (graph.constant(name) for name in activations.input[1:3])
        scale = graph.constant(weights.input[1])
        assert stored is not None
        assert step is not None
        assert zero is not None
        assert scale is not None
        rows = summed_rows(node, stored)
        assert rows is not None
        rank = 4 if node.op_type == "Conv" else 2
        unit = (step * np.broadcast_to(scale.reshape(-1), len(rows))).astype(np.float32)
        layer = _Layer(
            name=node.name,
            node=node,
            bytes_in=activations.input[0],
            correction=f"{node.name} lost",
            rows=rows,
            zero_point=int(zero),
            unit=unit.reshape(1, -1, *[1] * (rank - 2)),
        )
        layers.append(layer)
        result, exact = node.output[0], f"{node.name} exact"
        place = graph.nodes.index(node)
        graph.model.graph.node[place].output[0] = exact
        add = helper.make_node("Add", [exact, layer.correction], [result], name=layer.correction)
        graph.model.graph.node.insert(place + 1, add)
        graph.model.graph.input.append(
            helper.make_tensor_value_info(layer.correction, TensorProto.FLOAT, [None] * rank)
        )
    for tensor in dict.fromkeys(layer.bytes_in for layer in layers):
        if tensor not in graph.inputs:
            value = helper.make_tensor_value_info(tensor, TensorProto.UINT8, None)
            graph.model.graph.output.append(value)
    return graph, layers
