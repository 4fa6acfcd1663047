"""An explanation as text for the terminal."""

import textwrap
from collections.abc import Mapping, Sequence

from export.explain.explain import Explanation
from export.explain.findings import Finding
from export.explain.layer_table import Row, Timed
from export.validation.int16_saturation import SaturationReport
from tinysight.console import table
from tinysight.provenance import (
    ArtifactChecks,
    LayerNoise,
    SaturationRecord,
)

_WIDTH = 98


def text_report(explained: Explanation) -> str:
    """The explanation as text."""
    parts = [
        _title(explained),
        _rows(explained),
        _totals(explained),
        _findings(explained.findings),
        _saturation(explained),
        _checks(explained.checks),
    ]
    return "\n\n".join(part for part in parts if part)


def _title(explained: Explanation) -> str:
    peak, device = explained.peak, explained.device
    lines = [
        f"{explained.bundle.name}: {explained.artifact.name} against {explained.reference}, "
        "onnxruntime, one thread, one image",
        f"{device['cpu']}; peak throughput of one core: {peak.float32 / 1e3:.0f} GMAC/s in "
        f"float32, {peak.int8 / 1e3:.0f} in int8",
    ]
    return "\n".join(lines)


def _rows(explained: Explanation) -> str:
    peak = explained.peak
    header = ("layer", "kind", "MAC", "float32 us", "% of peak", "int8 us", "% of peak", "speed-up")
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
    return "" if share is None else f"{100 * share:.0f}"


def _count(macs: int) -> str:
    return f"{macs / 1e6:.1f} M" if macs >= 1e6 else f"{macs / 1e3:.0f} k"


def _totals(explained: Explanation) -> str:
    float32, int8 = explained.float32.median_us, explained.int8.median_us
    sums = [
        sum(side.microseconds for side in sides if side)
        for sides in (
            [row.float32 for row in explained.rows],
            [row.int8 for row in explained.rows],
        )
    ]
    verdict = (
        f"int8 is {float32 / int8:.2f} times as fast as float32"
        if float32 >= int8
        else f"int8 is {int8 / float32:.2f} times slower than float32"
    )
    return _wrapped(
        f"End to end, float32 takes {float32:.0f} us and int8 {int8:.0f} us (medians of "
        f"{explained.int8.runs:,} interleaved runs): {verdict}. The kernels above add up to "
        f"{sums[0]:.0f} and {sums[1]:.0f} us. The sums do not predict the whole: the profiler's "
        "clock counts whole microseconds and costs about one per kernel itself, and a layer moved "
        "between float32 and int8 adds conversions. Time whole graphs before you decide."
    )


def _findings(found: Sequence[Finding]) -> str:
    lines = ["Where the time goes, the most expensive first:"]
    for number, finding in enumerate(found, 1):
        lines.append(_wrapped(f"{number}. {finding.text}", 1))
        if finding.fix:
            lines.append(_wrapped(f"-> {finding.fix}.", 4))
    return "\n".join(lines) if found else "No kernel stands out."


def _saturation(explained: Explanation) -> str:
    """Whether x86 without VNNI would answer the same."""
    report = explained.saturation
    unsafe = [bound for bound in report.layers if not bound.safe]
    where = "On another CPU: x86 without VNNI (AVX2, older AVX-512)"
    if not unsafe or report.emulated is None:
        return _wrapped(f"{where} gives the same answers: no sum of two products exceeds 16 bits.")
    emulated = report.emulated
    text = (
        f"{where} sums pairs of products in 16 bits, with saturation; VNNI and ARM's dot products "
        f"use 32. {len(unsafe)} of {len(report.layers)} layers have pairs that could saturate. "
        f"Emulated on {emulated.images} golden inputs, {_outcome(emulated)}"
    )
    golden = explained.artifact.golden
    if golden is not None and emulated.max_relative > golden.tolerance:
        text += f": `tinysight verify`, which allows {golden.tolerance:.2g}, would fail there"
    rows = [
        (
            bound.layer,
            f"{bound.unsafe_channels} of {bound.channels}",
            f"{bound.worst_sum:,}",
            f"{emulated.changed[bound.layer]:.2%}",
        )
        for bound in unsafe
    ]
    header = ("layer", "channels that could", "largest sum (limit 32,767)", "results that did")
    return "\n".join([_wrapped(f"{text}."), table(header, rows), _repair(report)])


def _outcome(emulated: SaturationRecord) -> str:
    if emulated.max_relative == 0:
        return f"all {emulated.images} answers are bit-identical"
    return (
        f"{emulated.same_top1} keep their top-1 class, and logits change by up to "
        f"{emulated.max_relative:.2g} of their spread"
    )


def _repair(report: SaturationReport) -> str:
    if not report.saturating_layers:
        return _wrapped("-> nothing to do: what saturates, saturates too rarely to matter.", 3)
    names = " and ".join(report.saturating_layers)
    text = (
        f"-> give {names} 7-bit weights (export.passes.reduce_range; onnxruntime calls it "
        "reduce_range), at the same speed"
    )
    if report.repaired is None:
        return _wrapped(f"{text}: then nothing saturates.", 3)
    return _wrapped(f"{text}: then {_outcome(report.repaired)}.", 3)


def _checks(checks: Mapping[str, ArtifactChecks]) -> str:
    """How the artifacts agree with the trained model; empty columns are left out."""
    header = (
        "artifact", "same top-1", "largest logit difference", "accuracy (McNemar's p)",
        "flippable", "first noisy layer (SQNR)",
    )  # fmt: skip
    lines = [_check(name, one) for name, one in checks.items()]
    filled = [i for i in range(len(header)) if any(line[i] for line in lines)]
    if not filled:
        return ""
    rows = [[line[i] for i in filled] for line in lines]
    return "Compared with the trained model, on the test images:\n" + table(
        [header[i] for i in filled], rows
    )


def _check(name: str, checks: ArtifactChecks) -> list[str]:
    test = checks.test
    return [
        name,
        f"{test.same_top1:,} of {test.images:,}",
        f"{test.max_difference:.2g}",
        f"{test.mcnemar.difference:+.2%} ({test.mcnemar.p:.2g})",
        f"{test.margins.flippable:,}",
        _noisy_layer(checks.layers) if checks.layers else "",
    ]


def _noisy_layer(layers: LayerNoise) -> str:
    """The first layer below the bound, or how far the noisiest is above it."""
    if layers.first is not None:
        return layers.first
    ratios = [db for db in layers.layers_db.values() if db is not None]
    return f"none (at least {min(ratios):.0f} dB)" if ratios else "none"


def _wrapped(text: str, indent: int = 0) -> str:
    """Lines of a readable length; those after the first are indented by three more."""
    further = indent + 3 if indent else 0
    return textwrap.fill(text, _WIDTH, initial_indent=" " * indent, subsequent_indent=" " * further)
