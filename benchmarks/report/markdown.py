"""The report as Markdown, for a README or a repository's own viewer."""

from collections.abc import Sequence

from benchmarks.report import analysis
from benchmarks.report.device_section import header, preparation, rows
from benchmarks.report.text import cell_name, device_name, metadata, methodology, subtitle
from benchmarks.sweep.compare import agreement, clock_note, pair
from benchmarks.sweep.result import Result, rated


def markdown(results: Sequence[Result], title: str) -> str:
    """The whole of it; its picture is `front.png` beside it."""
    parts = [f"# {title}", subtitle(results)]
    if rated(results[0]):
        parts.append("![latency against accuracy](front.png)")
    for result in results:
        name = device_name(result, results)
        said = [f"- {sentence}" for sentence in analysis.sentences(analysis.rows(result))]
        parts += [f"## {name}", "\n".join(said), table(result)]
        if result.bench is not None:
            parts += ["\n".join(f"- doubtful: {warning}" for warning in result.bench.warnings)]
            parts += [_rows(header(result.bench), rows(result.bench)), preparation(result.bench)]
    parts = [part for part in parts if part]
    if len(results) == 2 and (pairs := pair(*results)):
        agreeing, told = agreement(p.agree for p in pairs)
        verdict = f"{agreeing} of {told} medians agree: the 95 % interval of their ratio holds 1."
        lines = [
            f"| {p.first.variant} | {cell_name(p.first)} | {p.first.median:.1f} | "
            f"{p.second.median:.1f} | {p.ratio:.3f} |"
            for p in pairs
        ]
        head = "| artifact | cell | first µs | second µs | second / first |\n|:--|:--|--:|--:|--:|"
        parts += [
            "## Side by side",
            f"{verdict} {clock_note(pairs)}".strip(),
            "\n".join([head, *lines]),
        ]
    parts += ["## How it was measured", methodology(results)]
    for result in results:
        parts.append("\n".join(f"- {name}: {value}" for name, value in metadata(result)))
    commands = "\n".join(dict.fromkeys(result.command for result in results))
    return "\n\n".join([*parts, f"```\n{commands}\n```"]) + "\n"


def _rows(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = [":--", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))


def table(result: Result) -> str:
    """A row for each entry at the base cell, the quickest first."""
    lines = [
        "| artifact | accuracy (95 % interval) | median µs | p99 µs | size | time against float32 "
        "| lost / won images |",
        "|:--|--:|--:|--:|--:|--:|--:|",
    ]
    for row in analysis.rows(result):
        p99 = row.measurement.latency.percentile(99)
        ratio, disagreements, accuracy = row.ratio, row.disagreements, row.variant.accuracy
        measurements = (
            f"{row.variant.model}/`{row.variant.recipe}`, {row.variant.engine}"
            + (" (front)" if row.on_front else ""),
            "unknown"
            if accuracy is None
            else "{:.2f}% ({:.1f}% to {:.1f}%)".format(
                100 * accuracy.value, *(100 * end for end in accuracy.interval)
            ),
            f"{row.measurement.median:.1f}",
            "too few" if p99 is None else f"{p99:.1f}",
            f"{row.variant.bytes / 1000:,.0f} KB",
            "–"
            if ratio is None
            else f"× {ratio.value:.2f}" + (", within noise" if ratio.within_noise else ""),
            "–"
            if disagreements is None
            else f"{disagreements.only_first} / {disagreements.only_second}, "
            + ("within noise" if row.same_accuracy else f"p {analysis.format_p(disagreements.p)}"),
        )
        lines.append("| " + " | ".join(measurements) + " |")
    return "\n".join(lines)
