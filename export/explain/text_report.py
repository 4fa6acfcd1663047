"""An explanation as a page for the terminal."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from export.explain.explain import Explanation
from export.explain.findings import Finding
from export.explain.layer_table import Row, Timed
from export.validation.int16_saturation import Emulated, Portability
from tinysight.bundle import Artifact, Bundle
from tinysight.console import table
from tinysight.errors import BundleError

_WIDTH = 98


def page(explained: Explanation) -> str:
    """The explanation as text."""
    parts = [
        _title(explained),
        _rows(explained),
        _totals(explained),
        _findings(explained.findings),
        _portability(explained),
        _chain(explained.bundle),
    ]
    return "\n\n".join(part for part in parts if part)


def _title(explained: Explanation) -> str:
    peak, device = explained.peak, explained.device
    lines = [
        f"{explained.bundle.name}: {explained.artifact.name} against {explained.reference}, "
        "onnxruntime, one thread, one image",
        f"{device['cpu']}; the best that a large layer reaches on one core here: "
        f"{peak.float32 / 1e3:.0f} GMAC/s in float32, {peak.int8 / 1e3:.0f} in int8",
    ]
    return "\n".join(lines)


def _rows(explained: Explanation) -> str:
    peak = explained.peak
    header = ("layer", "what", "MAC", "float32 us", "of peak", "int8 us", "of peak", "int8 gains")
    lines = []
    for row in explained.rows:
        timed = (row.float32, row.int8)
        times = [_cell(side) for side in timed]
        shares = [_percent(row.peak_utilization(side, peak)) for side in timed]
        what = f"{row.layer.kind}, {row.layer.size}" if row.layer else _operators(row)
        name = row.name if row.layer else f"  {row.name}"
        gain = f"{row.ratio:.1f} x" if row.layer and row.ratio else ""
        macs = _count(row.layer.macs) if row.layer else ""
        lines.append((name, what, macs, times[0], shares[0], times[1], shares[1], gain))
    width = max(len(line[1]) for line in lines)
    return table(header, [(line[0], line[1].ljust(width), *line[2:]) for line in lines])


def _operators(row: Row) -> str:
    names = [side.operator for side in (row.float32, row.int8) if side]
    return " / ".join(dict.fromkeys(names))


def _cell(timed: Timed | None) -> str:
    if timed is None:
        return "-"
    return f"{timed.microseconds:.1f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _count(macs: int) -> str:
    return f"{macs / 1e6:.1f} M" if macs >= 1e6 else f"{macs / 1e3:.0f} k"


def _totals(explained: Explanation) -> str:
    whole = [explained.float32.median, explained.int8.median]
    sums = [
        sum(side.microseconds for side in sides if side)
        for sides in (
            [row.float32 for row in explained.rows],
            [row.int8 for row in explained.rows],
        )
    ]
    ratio = whole[0] / whole[1]
    verdict = (
        f"int8 is {ratio:.2f} times as quick as float32"
        if ratio >= 1
        else f"int8 is slower than float32, {1 / ratio:.2f} times"
    )
    return _wrapped(
        f"From end to end, float32 takes {whole[0]:.0f} us and int8 {whole[1]:.0f} us (medians of "
        f"{explained.int8.samples.size:,} calls in turns): {verdict}. The kernels above add up to "
        f"{sums[0]:.0f} and {sums[1]:.0f} us. One does not predict the other: each kernel's time "
        "is taken by a clock that counts whole microseconds and costs about one itself, and a "
        "layer moved between float32 and int8 brings conversions along. Time whole graphs before "
        "you decide."
    )


def _findings(found: Sequence[Finding]) -> str:
    lines = ["What the time is spent on, the dearest first:"]
    for number, finding in enumerate(found, 1):
        lines.append(_wrapped(f"{number}. {finding.text}", 1))
        if finding.fix:
            lines.append(_wrapped(f"-> {finding.fix}.", 4))
    return "\n".join(lines) if found else "No kernel stands out."


def _portability(explained: Explanation) -> str:
    """Whether x86 without VNNI would answer the same."""
    found = explained.portability
    unsafe = [layer for layer in found.layers if not layer.safe]
    where = "On another CPU: x86 without VNNI (AVX2, older AVX-512)"
    if not unsafe or found.emulated is None:
        return _wrapped(f"{where} gives the same answers: no pair of products can leave 16 bits.")
    emulated = found.emulated
    text = (
        f"{where} adds neighbouring products in 16 bits; VNNI and ARM's dot products use 32. "
        f"{len(unsafe)} of {len(found.layers)} layers have pairs that could saturate. Emulated on "
        f"{emulated.images} golden inputs, {_outcome(emulated)}"
    )
    golden = explained.artifact.golden
    if golden is not None and emulated.max_relative > float(golden["tolerance"]):
        text += f": `tinysight verify`, which allows {golden['tolerance']:.2g}, would object there"
    rows = [
        (
            layer.layer,
            f"{layer.saturating} of {layer.channels}",
            f"{layer.worst:,}",
            f"{emulated.changed[layer.layer]:.2%}",
        )
        for layer in unsafe
    ]
    header = ("layer", "channels that could", "largest pair (limit 32,767)", "results that did")
    return "\n".join([_wrapped(f"{text}."), table(header, rows), _repair(found)])


def _outcome(emulated: Emulated) -> str:
    if emulated.max_relative == 0:
        return f"all {emulated.images} answers are the same to the bit"
    return (
        f"{emulated.same_top1} keep their first class, and logits move by up to "
        f"{emulated.max_relative:.2g} of their spread"
    )


def _repair(found: Portability) -> str:
    if not found.saturating_layers:
        return _wrapped("-> nothing to do: what saturates, saturates too rarely to matter.", 3)
    names = " and ".join(found.saturating_layers)
    text = (
        f"-> give {names} 7-bit weights (export.passes.reduce_range; onnxruntime calls it "
        "reduce_range), at the same speed"
    )
    if found.repaired is None:
        return _wrapped(f"{text}: then nothing saturates.", 3)
    return _wrapped(f"{text}: then {_outcome(found.repaired)}.", 3)


def _chain(bundle: Bundle) -> str:
    """The certificate that the bundle carries; columns that none of its artifacts fills are out."""
    header = (
        "trained model =", "same top-1", "largest logit difference", "accuracy (McNemar's p)",
        "thin margins", "leaves float32 at",
    )  # fmt: skip
    try:
        lines = [_certificate(artifact) for artifact in bundle.artifacts if artifact.parity]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BundleError(f"{bundle.folder}: its parity is malformed") from None
    filled = [i for i in range(len(header)) if any(line[i] for line in lines)]
    if not filled:
        return ""
    rows = [[line[i] for i in filled] for line in lines]
    return "Certificate, on the test images:\n" + table([header[i] for i in filled], rows)


def _certificate(artifact: Artifact) -> list[str]:
    test = artifact.parity["test"]
    paired, margin, layers = test.get("mcnemar"), test.get("margin"), artifact.parity.get("layers")
    return [
        artifact.name,
        f"{test['same_top1']:,} of {test['images']:,}",
        f"{test['max_difference']:.2g}",
        f"{paired['difference']:+.2%} ({paired['p']:.2g})" if paired else "",
        f"{margin['flippable']:,}" if margin else "",
        _departure(layers) if layers else "",
    ]


def _departure(layers: Mapping[str, Any]) -> str:
    """The first layer beyond the bound, or how much of it the noisiest leaves."""
    if layers["first"] is not None:
        return str(layers["first"])
    noisiest = min(db for db in layers["layers_db"].values() if db is not None)
    return f"none (at least {noisiest:.0f} dB)"


def _wrapped(text: str, indent: int = 0) -> str:
    """Lines of a readable length; those after the first stand three further to the right."""
    further = indent + 3 if indent else 0
    return textwrap.fill(text, _WIDTH, initial_indent=" " * indent, subsequent_indent=" " * further)
