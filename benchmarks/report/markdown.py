"""The report as Markdown, for a README or a repository's own viewer."""

from collections.abc import Callable, Iterable, Sequence

from benchmarks.report import analysis
from benchmarks.report.device_section import device_section
from benchmarks.report.text import (
    configuration_name,
    device_name,
    metadata,
    methodology,
    subtitle,
)
from benchmarks.sweep.compare import pair, verdict
from benchmarks.sweep.result import SweepResult, has_accuracy

PARETO_FRONT = "pareto_front.png"
"""The picture beside the report."""


def markdown(results: Sequence[SweepResult], title: str) -> str:
    """The whole report; its picture is `PARETO_FRONT` beside it."""
    parts = [f"# {title}", subtitle(results)]
    if has_accuracy(results[0]):
        parts.append(f"![latency against accuracy]({PARETO_FRONT})")
    for result in results:
        parts += _result(result, device_name(result, results))
    if len(results) == 2:
        parts += _comparison(*results)
    parts += ["## How it was measured", methodology(results)]
    parts += [_list(f"{name}: {value}" for name, value in metadata(result)) for result in results]
    commands = "\n".join(dict.fromkeys(result.command for result in results))
    return "\n\n".join([*filter(None, parts), f"```\n{commands}\n```"]) + "\n"


def _result(result: SweepResult, name: str) -> list[str]:
    parts = [f"## {name}", _list(analysis.findings(analysis.rows(result))), table(result)]
    if result.benchmark is not None:
        device = device_section(result.benchmark)
        parts += [
            _list(f"warning: {warning}" for warning in device.warnings),
            _table(device.header, device.rows),
            device.preprocessing,
        ]
    return parts


def _comparison(first: SweepResult, second: SweepResult) -> list[str]:
    pairs = pair(first, second)
    if not pairs:
        return []
    rows = [
        (
            p.first.variant,
            configuration_name(p.first),
            f"{p.first.median_us:.1f}",
            f"{p.second.median_us:.1f}",
            f"{p.ratio:.3f}",
        )
        for p in pairs
    ]
    header = ("artifact", "threads and batch", "first µs", "second µs", "second / first")
    return ["## Comparison", verdict(pairs), _table(header, rows)]


def table(result: SweepResult) -> str:
    """A row for each model variant with fewest threads and smallest batch, the fastest first.

    A column that would be empty is left out: p99 with too few calls, and the comparisons where no
    model's float32 was measured.
    """
    found = analysis.rows(result)
    header, columns = [], []
    for title, missing, cell in _COLUMNS:
        cells = [cell(row) for row in found]
        if any(cells):
            header.append(title)
            columns.append([text or missing for text in cells])
    return _table(header, list(zip(*columns, strict=True)))


def _artifact(row: analysis.Row) -> str:
    variant, on_front = row.variant, " (Pareto front)" if row.on_front else ""
    return f"{variant.model}/`{variant.recipe}`, {variant.engine}{on_front}"


def _accuracy(row: analysis.Row) -> str:
    accuracy = row.variant.accuracy
    if accuracy is None:
        return "unknown"
    low, high = accuracy.interval
    return f"{100 * accuracy.value:.2f}% ({100 * low:.1f}% to {100 * high:.1f}%)"


def _p99(row: analysis.Row) -> str | None:
    p99 = row.measurement.p99_us
    return None if p99 is None else f"{p99:.1f}"


def _ratio(row: analysis.Row) -> str | None:
    if row.ratio is None:
        return None
    return f"× {row.ratio.value:.2f}" + (", within noise" if row.ratio.within_noise else "")


def _disagreements(row: analysis.Row) -> str | None:
    test = row.disagreements
    if test is None:
        return None
    significance = "within noise" if row.same_accuracy else f"p {analysis.format_p(test.p)}"
    return f"{test.only_first} / {test.only_second}, {significance}"


_COLUMNS: tuple[tuple[str, str, Callable[[analysis.Row], str | None]], ...] = (
    ("artifact", "", _artifact),
    ("accuracy (95 % interval)", "", _accuracy),
    ("median µs", "", lambda row: f"{row.measurement.median_us:.1f}"),
    ("p99 µs", "too few", _p99),
    ("size", "", lambda row: f"{row.variant.bytes / 1000:,.0f} KB"),
    ("latency against float32", "–", _ratio),
    ("lost / won images", "–", _disagreements),
)
"""Of a table: title, what stands where a row has nothing, and a row's cell."""


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    alignment = [":--", *["--:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, alignment, *rows))
