"""Figures of a text that come from results, so that the two cannot disagree.

A marker says what stands between it and the next `<!-- end -->`, in a line or in a paragraph:

    <!-- figures:FOLDER/table -->                     a row for each model variant, fastest first
    <!-- figures:FOLDER/command -->                     what to type to measure it again
    <!-- figures:FOLDER/device -->                      the CPU it was measured on
    <!-- figures:FOLDER/accuracy/MODEL/RECIPE@ENGINE -->  68.38%
    <!-- figures:FOLDER/interval/MODEL/RECIPE@ENGINE -->  67.5% to 69.3%
    <!-- figures:FOLDER/median/MODEL/RECIPE@ENGINE -->    43.1, microseconds
    <!-- figures:FOLDER/kb/MODEL/RECIPE@ENGINE -->        94, thousands of bytes

FOLDER is one below benchmarks/results. A median is that of fewest threads and smallest batch.
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from benchmarks.report.markdown import table
from benchmarks.report.text import cpu
from benchmarks.sweep.result import SweepResult
from benchmarks.sweep.result_io import read
from tinysight.benchmark.results import ModelVariant
from tinysight.benchmark.results_io import ResultError
from tinysight.errors import TinysightError

RESULTS = Path(__file__).parents[1] / "results"
_MARKED = re.compile(r"(<!-- figures:(\S+) -->)(.*?)(<!-- end -->)", re.DOTALL)
_BEGUN = re.compile(r"<!-- figures:")


def update_figures(text: str, results: Path = RESULTS) -> str:
    """The text with every marked figure replaced by that of the results.

    Raises TinysightError for a marker without an end, of an unknown figure, or without a result.
    """
    load = cache(lambda folder: read(results / folder))

    def replace(found: re.Match[str]) -> str:
        start, name, old, end = found.groups()
        if _BEGUN.search(old):
            raise TinysightError(f"figures:{name} has no <!-- end --> before the next figures")
        figure = _figure(name, load)
        # A block stays a block: Markdown wants a table on lines of its own.
        return f"{start}\n{figure}\n{end}" if old.startswith("\n") else f"{start}{figure}{end}"

    new, count = _MARKED.subn(replace, text)
    if count != len(_BEGUN.findall(text)):
        raise TinysightError("a <!-- figures:… --> has no <!-- end -->")
    return new


def _figure(name: str, load: Callable[[str], SweepResult]) -> str:
    folder, _, rest = name.partition("/")
    kind, _, key = rest.partition("/")
    if not re.fullmatch(r"[\w-][\w.-]*", folder):
        raise TinysightError(f"figures:{name}: no folder of results")
    result = load(folder)
    if kind in _WHOLE and not key:
        return _WHOLE[kind](result)
    if kind not in _SINGLE:
        known = ", ".join([*_WHOLE, *(f"{kind}/…" for kind in _SINGLE)])
        raise TinysightError(f"figures:{name}: no such figure; there are {known}")
    variant = next((variant for variant in result.variants if variant.key == key), None)
    if variant is None:
        known = ", ".join(variant.key for variant in result.variants)
        raise ResultError(f"figures:{name}: that result has no {key}; it has {known}")
    return _SINGLE[kind](result, variant)


def _accuracy(result: SweepResult, variant: ModelVariant) -> str:  # noqa: ARG001
    return "unknown" if variant.accuracy is None else f"{variant.accuracy.value:.2%}"


def _interval(result: SweepResult, variant: ModelVariant) -> str:  # noqa: ARG001
    if variant.accuracy is None:
        return "unknown"
    return "{:.1%} to {:.1%}".format(*variant.accuracy.interval)


def _median(result: SweepResult, variant: ModelVariant) -> str:
    return next(
        f"{measurement.median_us:.1f}"
        for measurement in result.base
        if measurement.variant == variant.key
    )


def _kb(result: SweepResult, variant: ModelVariant) -> str:  # noqa: ARG001
    return f"{variant.bytes / 1000:,.0f}"


_WHOLE: dict[str, Callable[[SweepResult], str]] = {
    "table": table,
    "command": lambda result: f"```\n{result.command}\n```",
    "device": cpu,
}
_SINGLE = {"accuracy": _accuracy, "interval": _interval, "median": _median, "kb": _kb}
