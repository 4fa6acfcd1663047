"""What a result says: each entry set against the reference of its model, with the odds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.report.text import display_name
from benchmarks.sweep.result import ModelVariant, Result, front
from tinysight.benchmark.results import Measurement
from tinysight.stats import McNemar, PairedRatio, paired_ratio

REFERENCE = ("float32", "onnxruntime")
SIGNIFICANT = 0.05
NEAR_POINTS = 0.01
"""Accuracy that one would give away for speed without much thought: one point."""


@dataclass(frozen=True, slots=True)
class Row:
    """An entry at the result's base cell, beside its model's reference."""

    variant: ModelVariant
    measurement: Measurement
    on_front: bool
    reference: ModelVariant
    ratio: PairedRatio | None
    """Its time over the reference's; None for the reference itself."""
    disagreements: McNemar | None
    """First the reference, then the entry; None without answers, and for the reference."""

    @property
    def same_accuracy(self) -> bool | None:
        """Whether the difference in accuracy is within noise; None where it is unknown."""
        return None if self.disagreements is None else self.disagreements.p >= SIGNIFICANT


def rows(result: Result) -> list[Row]:
    """A row for each entry, the quickest first."""
    measurements = result.base
    by_key = {measurement.variant: measurement for measurement in measurements}
    best = {measurement.variant for measurement in front(result, measurements)}
    found = []
    for measurement in measurements:
        variant = result.variant(measurement.variant)
        reference = reference_of(result, variant.model)
        itself = reference.key == variant.key
        found.append(
            Row(
                variant,
                measurement,
                variant.key in best,
                reference,
                None if itself else ratio(measurement, by_key[reference.key]),
                None if itself else disagreements(result, reference, variant),
            )
        )
    return found


def reference_of(result: Result, model: str) -> ModelVariant:
    """float32 under onnxruntime, or else the model's most accurate, or first, entry."""
    variants = [variant for variant in result.variants if variant.model == model]
    for variant in variants:
        if (variant.recipe, variant.engine) == REFERENCE:
            return variant
    return max(variants, key=lambda variant: variant.accuracy.value if variant.accuracy else 0)


def ratio(measurement: Measurement, reference: Measurement) -> PairedRatio | None:
    """Its time over the reference's, call by call as they took turns; None for too few calls.

    The passes are the bootstrap's blocks: what differs from process to process counts.
    """
    both = list(zip(measurement.passes, reference.passes, strict=False))
    length = min(min(a.size, b.size) for a, b in both)
    if len(both) < 2:
        return None
    a, b = (
        np.concatenate([pair[side][:length] for pair in both]) for side in (0, 1)
    )  # fmt: skip
    return paired_ratio(a, b, blocks=len(both))


def disagreements(result: Result, first: ModelVariant, second: ModelVariant) -> McNemar | None:
    """McNemar's exact test on the same images; None where their answers were not kept."""
    if result.data is None or first.answers is None or second.answers is None:
        return None
    targets = result.data.targets
    return McNemar.of(first.answers == targets, second.answers == targets)


def flipped(result: Result, first: ModelVariant, second: ModelVariant) -> NDArray[np.int64]:
    """Places of the test images that only one of the two gets right; those lost come first."""
    if result.data is None or first.answers is None or second.answers is None:
        return np.empty(0, dtype=np.int64)
    right, now = first.answers == result.data.targets, second.answers == result.data.targets
    return np.concatenate([np.flatnonzero(right & ~now), np.flatnonzero(~right & now)])


def confusion(result: Result, variant: ModelVariant) -> NDArray[np.int64] | None:
    """int64 (classes, classes): how often each class, by row, was called each other one."""
    if result.data is None or variant.answers is None:
        return None
    classes = len(result.data.labels)
    pairs = result.data.targets * classes + variant.answers
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def sentences(found: Sequence[Row]) -> list[str]:
    """What one would say of them, whatever the figures are."""
    rated = [row for row in found if row.variant.accuracy is not None]
    if not rated:
        return [
            f"{display_name(found[0].variant.key)} is the quickest: {found[0].measurement.median:.1f} µs."
        ]
    worth = {row.variant.key: row.variant.accuracy.value for row in rated if row.variant.accuracy}
    best = max(rated, key=lambda row: worth[row.variant.key])
    near = next(r for r in rated if worth[r.variant.key] >= worth[best.variant.key] - NEAR_POINTS)
    said = [
        f"{display_name(near.variant.key)} is the quickest within a point of the best accuracy: "
        f"{near.measurement.median:.1f} µs at {worth[near.variant.key]:.2%}."
    ]
    if near is not best:
        said.append(
            f"The most accurate, {display_name(best.variant.key)}, reaches {worth[best.variant.key]:.2%} "
            f"in {best.measurement.median:.1f} µs."
        )
    tied = [r for r in rated if r.ratio is not None and r.ratio.within_noise]
    if tied:
        names = ", ".join(display_name(row.variant.key) for row in tied[:4]) + (
            ", …" if len(tied) > 4 else ""
        )
        said.append(f"As quick as its reference, within noise: {names}.")
    worse = [
        r
        for r in rated
        if r.same_accuracy is False and r.disagreements and r.disagreements.difference < 0
    ]
    tested = [r for r in rated if r.disagreements is not None]
    if worse:
        losses = [
            f"{display_name(row.variant.key)} ({100 * test.difference:+.2f} points, p {format_p(test.p)})"
            for row in worse[:4]
            if (test := row.disagreements) is not None
        ]
        said.append(f"Less accurate than its reference, beyond chance: {', '.join(losses)}.")
    elif tested:
        said.append(
            f"Of {len(tested)} entries with a reference none is less accurate than it "
            f"beyond chance (McNemar's exact test, p < {SIGNIFICANT})."
        )
    return said


def format_p(p: float) -> str:
    """A p value with as many digits as it deserves."""
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"
