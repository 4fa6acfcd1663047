"""Two results side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from benchmarks.report import svg
from benchmarks.report.text import configuration_name, cpu
from benchmarks.sweep.compare import Pair, pair, verdict
from benchmarks.sweep.result import SweepResult


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """A measurement that both results have."""

    name: str
    pair: Pair
    agree: str
    """Whether the medians agree."""
    accuracy_change: float | None
    """The second's accuracy minus the first's; None where either is unknown."""


@dataclass(frozen=True, slots=True)
class Comparison:
    title: str
    names: Sequence[str]
    summary: str
    chart: Markup
    rows: list[ComparisonRow]


def compare_results(results: Sequence[SweepResult], names: Sequence[str]) -> Comparison | None:
    """Two results, measurement by measurement.

    None where they have none in common, or are not two.
    """
    if len(results) != 2:
        return None
    first, second = results
    pairs = pair(first, second)
    if not pairs:
        return None
    base = [p for p in pairs if p.first in first.base] or pairs
    return Comparison(
        "Two dates, one device" if cpu(first) == cpu(second) else "Two devices",
        names,
        _summary(pairs),
        svg.dumbbells(
            [p.first.variant for p in base],
            [p.first.median_us for p in base],
            [p.second.median_us for p in base],
        ),
        [_row(first, second, p) for p in pairs],
    )


def _summary(pairs: Sequence[Pair]) -> str:
    ratio = float(np.median([p.ratio for p in pairs]))
    summary = f"Over {len(pairs)} measurements the second takes {ratio:.3f} times as long (median)."
    return f"{summary} {verdict(pairs)}".rstrip()


def _row(first: SweepResult, second: SweepResult, one: Pair) -> ComparisonRow:
    before = first.variant(one.first.variant).accuracy
    after = second.variant(one.first.variant).accuracy
    return ComparisonRow(
        f"{one.first.variant}, {configuration_name(one.first)}",
        one,
        {True: "yes", False: "no", None: "cannot tell"}[one.agree],
        after.value - before.value if before and after else None,
    )
