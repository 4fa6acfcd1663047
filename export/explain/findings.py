"""What follows from the rows: where the time goes, why, and what would help.

Each rule looks at the measured times and at what is known of onnxruntime's kernels: those for int8
multiply blocks of 4 inputs by 16 outputs with the channels innermost; those for float32 convolve
images in blocks of channels, and have a variant for images of few channels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx

from export.explain.layer_table import Row, Timed
from export.explain.peak_throughput import Peak
from export.passes import Graph

_SLOWER = 1.1
"""From this factor on, int8 is reported as slower: below it, clock and cache decide."""
_LEAST = 1.0
"""Microseconds; smaller losses are not reported."""
_FEW_CHANNELS = 4
_BLOCK = 16
_REUSE = 32
"""A weight used for fewer positions than this is bound by memory, not by arithmetic."""
_CONVERSIONS = {
    "Transpose", "ReorderInput", "ReorderOutput", "QuantizeLinear", "DequantizeLinear", "Cast",
    "DynamicQuantizeLinear",
}  # fmt: skip
_CALL_BOUND = 6.0
"""Microseconds: about three times the overhead of a kernel call."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One observation, and what would help."""

    layer: str | None
    """None where it concerns the whole graph."""
    microseconds: float
    """The most that the fix could save."""
    text: str
    fix: str | None


def findings(rows: Sequence[Row], int8_graph: onnx.ModelProto, peak: Peak) -> list[Finding]:
    """All findings, the most expensive first."""
    graph = Graph(int8_graph)
    found = [
        *_float_layers(rows, graph),
        *_quantized_by_runtime(rows, graph),
        *_slower(rows),
        *_memory(rows, peak),
        *_narrow(rows, peak),
        *_conversions(rows),
        *_calls(rows),
    ]
    return sorted(found, key=lambda finding: -finding.microseconds)


def _float_layers(rows: Sequence[Row], graph: Graph) -> Iterator[Finding]:
    """Layers of the quantized artifact that onnxruntime computes in float32."""
    for row in rows:
        if row.layer is None or row.int8 is None or row.int8.integer:
            continue
        cause, fix = unfused_cause(graph, row.name)
        yield Finding(
            row.name,
            row.int8.microseconds,
            f"{row.name} is computed in float32 (as {row.int8.operator}): {cause}.",
            fix,
        )


def _quantized_by_runtime(rows: Sequence[Row], graph: Graph) -> Iterator[Finding]:
    """Layers meant to stay in float32 that onnxruntime quantizes by itself."""
    for row in rows:
        if row.layer is None or row.int8 is None or not row.int8.integer:
            continue
        node = next((node for node in graph.nodes if node.name == row.name), None)
        if node is not None and graph.constant(node.input[1]) is not None:
            yield Finding(
                row.name,
                row.int8.microseconds,
                f"{row.name} has float32 weights, but runs in int8 (as {row.int8.operator}): "
                "between two quantized tensors, onnxruntime quantizes weights itself, with one "
                "scale for all channels, which loses more accuracy than quantizing them at export.",
                "store its weights in int8, per channel; or, to keep it in float32, remove the "
                "QuantizeLinear behind it as well",
            )


def unfused_cause(graph: Graph, layer: str) -> tuple[str, str]:
    """Why onnxruntime did not run a layer in integers, and what would help."""
    node = next(node for node in graph.nodes if node.name == layer)
    sources = [graph.producer(name) for name in node.input[:2]]
    missing = [
        what
        for what, source in zip(("input", "weights"), sources, strict=True)
        if source is None or source.op_type != "DequantizeLinear"
    ]
    if missing:
        return (
            f"its {' and '.join(missing)} {'are' if missing != ['input'] else 'is'} not quantized",
            "quantize it as well, unless the whole graph is faster without",
        )
    for what, source in zip(("input", "weights"), sources, strict=True):
        assert source is not None
        zero = graph.constant(source.input[2]) if len(source.input) > 2 else None
        if zero is not None and zero.dtype.itemsize != 1:
            return (
                f"its {what} {'has' if what == 'input' else 'have'} {zero.dtype.itemsize * 8} "
                "bits, for which there is no integer kernel on a CPU",
                "quantize to 8 bits, as static_w8a8 does",
            )
    readers = graph.consumers(node.output[0])
    others = sorted({reader.op_type for reader in readers if reader.op_type != "QuantizeLinear"})
    if others:
        return (
            f"its result goes to {', '.join(others)} before it is quantized",
            "fold that operation into the layer, or quantize in front of it",
        )
    if not readers and node.op_type == "Conv":
        return (
            "its result is never quantized again",
            "quantize its result, and dequantize behind it",
        )
    if len(readers) > 1:
        return (
            f"{len(readers)} quantizations read its result",
            "quantize the result once, for all of its readers",
        )
    return "the cause is unknown", "inspect the optimized graph in a viewer"


def _slower(rows: Sequence[Row]) -> Iterator[Finding]:
    """Layers that int8 makes slower."""
    for row in rows:
        if row.layer is None or row.float32 is None or row.int8 is None or not row.int8.integer:
            continue
        lost = row.int8.microseconds - row.float32.microseconds
        if lost < _LEAST or row.int8.microseconds < _SLOWER * row.float32.microseconds:
            continue
        cause, fix = _why_slower(row)
        yield Finding(
            row.name,
            lost,
            f"int8 is slower in {row.name} ({row.int8.microseconds:.0f} against "
            f"{row.float32.microseconds:.0f} us) because {cause}.",
            fix,
        )


def _why_slower(row: Row) -> tuple[str, str | None]:
    layer = row.layer
    assert layer is not None
    assert row.int8 is not None
    if layer.depthwise:
        return (
            "a depthwise convolution sums over one channel: there is nothing to block, and the "
            "bytes are widened one by one",
            "use a dense 3x3 convolution with fewer channels instead",
        )
    if not layer.dense and layer.inputs <= _FEW_CHANNELS:
        padded = -(-layer.summed // 4) * 4
        return (
            f"it reads {layer.inputs} channels: the int8 kernel first copies every window into a "
            f"row of {layer.summed} bytes, padded to {padded}, at "
            f"{layer.map[0] * layer.map[1]:,} positions; the float32 kernel for images reads them "
            "in place",
            "give the stem a stride or a larger window (fewer positions, more products for each), "
            "or rewrite it as a convolution of 12 channels by space-to-depth. Leaving it in "
            "float32 may cost more than it saves: the conversion behind it covers the full map",
        )
    if max(row.int8.microseconds, row.float32.microseconds if row.float32 else 0) < _CALL_BOUND:
        return (
            f"it is small ({layer.macs:,} multiply-accumulates): the call costs more than the "
            "arithmetic, and int8 has more to prepare",
            None,
        )
    if layer.dense:
        return (
            f"with one image each of its {layer.inputs * layer.outputs:,} weights is used once: "
            "packing the bytes and scaling the sums takes longer than 8 bits save",
            "run several images per call, where the application has them",
        )
    if layer.outputs % _BLOCK or layer.inputs % 4:
        return (
            f"{layer.inputs} channels to {layer.outputs} do not fill the kernel's blocks of 4 by "
            f"{_BLOCK}",
            f"make the channels a multiple of {_BLOCK}",
        )
    return "of an unknown cause", None


def _memory(rows: Sequence[Row], peak: Peak) -> Iterator[Finding]:
    """Layers that are bound by memory bandwidth: loading weights costs more than multiplying."""
    waiting = []
    for row in rows:
        if row.layer is None or row.int8 is None or row.int8.microseconds < 2 * _CALL_BOUND:
            continue
        share = row.peak_utilization(row.int8, peak)
        if share is not None and share < 0.5 and row.layer.reuse < _REUSE:
            waiting.append((row, row.layer, row.int8))
    if not waiting:
        return
    names = [row.name for row, _, _ in waiting]
    size = sum(layer.weights * (1 if timed.integer else 4) for _, layer, timed in waiting)
    time = sum(timed.microseconds for _, _, timed in waiting)
    bound = sum(layer.macs / peak.of(timed.integer) for _, layer, timed in waiting)
    text = (
        f"{_listed(names)} {'are' if len(names) > 1 else 'is'} bound by memory: "
        f"{size / 1e6:.1f} MB of weights, each used for fewer than {_REUSE} positions of a map, "
        f"are read in {time:.0f} us, {size / time / 1e3:.0f} GB/s"
    )
    floats = [(layer, row.float32) for row, layer, _ in waiting if row.float32]
    float_time = sum(timed.microseconds for _, timed in floats)
    if float_time:
        rate = sum(4 * layer.weights for layer, _ in floats) / float_time / 1e3
        text += f" (float32 reads four times as many bytes at {rate:.0f} GB/s)"
    yield Finding(
        names[0] if len(names) == 1 else None,
        time - bound,
        f"{text}; the arithmetic alone would take {bound:.0f} us.",
        "use fewer weights where the map is small (fewer channels, pruning of whole channels, an "
        "earlier global pooling), or run several images per call, which share the loading",
    )


def _narrow(rows: Sequence[Row], peak: Peak) -> Iterator[Finding]:
    """Layers that take much of the time at a low peak utilization, though int8 is no slower."""
    whole = sum(row.int8.microseconds for row in rows if row.int8)
    for row in rows:
        share = row.peak_utilization(row.int8, peak)
        if share is None or row.int8 is None or row.layer is None or not row.int8.integer:
            continue
        layer, part = row.layer, row.int8.microseconds / whole
        reused = layer.reuse >= _REUSE
        if share > 0.5 or part < 0.1 or not reused or (row.ratio or 1) < 1 / _SLOWER:
            continue
        causes = []
        if layer.summed % 4 or layer.inputs % 4:
            causes.append(f"{layer.inputs} input channels do not fill blocks of 4")
        if layer.outputs % _BLOCK:
            causes.append(f"{layer.outputs} output channels do not fill blocks of {_BLOCK}")
        elif layer.outputs <= 2 * _BLOCK:
            causes.append(f"{layer.outputs} output channels are {layer.outputs // _BLOCK} blocks")
        if layer.macs / peak.int8 < _CALL_BOUND:
            causes.append(
                f"its arithmetic would take {layer.macs / peak.int8:.1f} us; the rest is gathering "
                "windows, rounding the sums and the call itself"
            )
        yield Finding(
            row.name,
            row.int8.microseconds - layer.macs / peak.int8,
            f"{row.name} takes {part:.0%} of the time in int8 at {share:.0%} of the peak"
            + (f": {'; '.join(causes)}." if causes else "."),
            None if not causes else "use wider layers on a smaller map: more work in the same time",
        )


def _conversions(rows: Sequence[Row]) -> Iterator[Finding]:
    """What only changes layout or type between layers of the quantized artifact."""
    between = [
        (row, row.int8) for row in rows if row.int8 and not row.layer and _is_conversion(row.int8)
    ]
    time = sum(timed.microseconds for _, timed in between)
    if time < _LEAST:
        return
    names = [f"{timed.operator} ({timed.microseconds:.0f} us)" for _, timed in between]
    kinds = {timed.operator for _, timed in between}
    fixes = []
    if kinds & {"QuantizeLinear", "DequantizeLinear"}:
        fixes.append("quantize the layers on both sides, so that no float32 is between them")
    if "Transpose" in kinds:
        fixes.append(
            "fold the order of a Flatten into the next dense layer's weights, or pool to 1 x 1 "
            "first, where order does not matter"
        )
    yield Finding(
        None,
        time,
        f"Conversions and data movement in int8: {_listed(names)}.",
        "; ".join(fixes) or None,
    )


def _is_conversion(timed: Timed) -> bool:
    return timed.operator in _CONVERSIONS


def _calls(rows: Sequence[Row]) -> Iterator[Finding]:
    """Kernels so small that their call costs more than their work."""
    small = [row for row in rows if row.int8 and row.int8.microseconds < _CALL_BOUND]
    time = sum(row.int8.microseconds for row in small if row.int8)
    whole = sum(row.int8.microseconds for row in rows if row.int8)
    if len(small) > 2 and time > 0.2 * whole:
        yield Finding(
            None,
            time,
            f"{len(small)} of {sum(row.int8 is not None for row in rows)} int8 kernels take less "
            f"than {_CALL_BOUND:.0f} us each, {time / whole:.0%} of the time: their calls cost "
            "more than their work.",
            "use fewer, wider layers, such as a strided convolution in place of a pooling",
        )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
