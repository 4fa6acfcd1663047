"""What a result says: each entry set against the reference of its model, with the odds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.report.text import shown
from benchmarks.sweep.result import Entry, Result, front
from tinysight.benchmark.results import Cell
from tinysight.stats import McNemar, PairedRatio, paired_ratio

REFERENCE = ("float32", "onnxruntime")
SIGNIFICANT = 0.05
NEAR_POINTS = 0.01
"""Accuracy that one would give away for speed without much thought: one point."""


@dataclass(frozen=True, slots=True)
class Row:
    """An entry at the result's base cell, beside its model's reference."""

    entry: Entry
    cell: Cell
    on_front: bool
    reference: Entry
    ratio: PairedRatio | None
    """Its time over the reference's; None for the reference itself."""
    flips: McNemar | None
    """First the reference, then the entry; None without answers, and for the reference."""

    @property
    def same_accuracy(self) -> bool | None:
        """Whether the difference in accuracy is within noise; None where it is unknown."""
        return None if self.flips is None else self.flips.p >= SIGNIFICANT


def rows(result: Result) -> list[Row]:
    """A row for each entry, the quickest first."""
    cells = result.base
    by_key = {cell.entry: cell for cell in cells}
    best = {cell.entry for cell in front(result, cells)}
    found = []
    for cell in cells:
        entry = result.entry(cell.entry)
        reference = reference_of(result, entry.model)
        itself = reference.key == entry.key
        found.append(
            Row(
                entry,
                cell,
                entry.key in best,
                reference,
                None if itself else ratio(cell, by_key[reference.key]),
                None if itself else flips(result, reference, entry),
            )
        )
    return found


def reference_of(result: Result, model: str) -> Entry:
    """float32 under onnxruntime, or else the model's most accurate, or first, entry."""
    entries = [entry for entry in result.entries if entry.model == model]
    for entry in entries:
        if (entry.recipe, entry.engine) == REFERENCE:
            return entry
    return max(entries, key=lambda entry: entry.accuracy.value if entry.accuracy else 0)


def ratio(cell: Cell, reference: Cell) -> PairedRatio | None:
    """Its time over the reference's, call by call as they took turns; None for too few calls.

    The passes are the bootstrap's blocks: what differs from process to process counts.
    """
    both = list(zip(cell.passes, reference.passes, strict=False))
    length = min(min(a.size, b.size) for a, b in both)
    if len(both) < 2:
        return None
    a, b = (
        np.concatenate([pair[side][:length] for pair in both]) for side in (0, 1)
    )  # fmt: skip
    return paired_ratio(a, b, blocks=len(both))


def flips(result: Result, first: Entry, second: Entry) -> McNemar | None:
    """McNemar's exact test on the same images; None where their answers were not kept."""
    if result.data is None or first.answers is None or second.answers is None:
        return None
    targets = result.data.targets
    return McNemar.of(first.answers == targets, second.answers == targets)


def flipped(result: Result, first: Entry, second: Entry) -> NDArray[np.int64]:
    """Places of the test images that only one of the two gets right; those lost come first."""
    if result.data is None or first.answers is None or second.answers is None:
        return np.empty(0, dtype=np.int64)
    right, now = first.answers == result.data.targets, second.answers == result.data.targets
    return np.concatenate([np.flatnonzero(right & ~now), np.flatnonzero(~right & now)])


def confusion(result: Result, entry: Entry) -> NDArray[np.int64] | None:
    """int64 (classes, classes): how often each class, by row, was called each other one."""
    if result.data is None or entry.answers is None:
        return None
    classes = len(result.data.labels)
    pairs = result.data.targets * classes + entry.answers
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def sentences(found: Sequence[Row]) -> list[str]:
    """What one would say of them, whatever the figures are."""
    rated = [row for row in found if row.entry.accuracy is not None]
    if not rated:
        return [f"{shown(found[0].entry.key)} is the quickest: {found[0].cell.median:.1f} µs."]
    worth = {row.entry.key: row.entry.accuracy.value for row in rated if row.entry.accuracy}
    best = max(rated, key=lambda row: worth[row.entry.key])
    near = next(r for r in rated if worth[r.entry.key] >= worth[best.entry.key] - NEAR_POINTS)
    said = [
        f"{shown(near.entry.key)} is the quickest within a point of the best accuracy: "
        f"{near.cell.median:.1f} µs at {worth[near.entry.key]:.2%}."
    ]
    if near is not best:
        said.append(
            f"The most accurate, {shown(best.entry.key)}, reaches {worth[best.entry.key]:.2%} "
            f"in {best.cell.median:.1f} µs."
        )
    tied = [r for r in rated if r.ratio is not None and r.ratio.within_noise]
    if tied:
        names = ", ".join(shown(row.entry.key) for row in tied[:4]) + (
            ", …" if len(tied) > 4 else ""
        )
        said.append(f"As quick as its reference, within noise: {names}.")
    worse = [r for r in rated if r.same_accuracy is False and r.flips and r.flips.difference < 0]
    tested = [r for r in rated if r.flips is not None]
    if worse:
        losses = [
            f"{shown(row.entry.key)} ({100 * test.difference:+.2f} points, p {odds(test.p)})"
            for row in worse[:4]
            if (test := row.flips) is not None
        ]
        said.append(f"Less accurate than its reference, beyond chance: {', '.join(losses)}.")
    elif tested:
        said.append(
            f"Of {len(tested)} entries with a reference none is less accurate than it "
            f"beyond chance (McNemar's exact test, p < {SIGNIFICANT})."
        )
    return said


def odds(p: float) -> str:
    """A p value with as many digits as it deserves."""
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"
