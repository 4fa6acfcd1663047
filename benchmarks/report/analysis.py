"""What a result says: each model variant against its model's reference, where that was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.report.text import display_name
from benchmarks.sweep.result import SweepResult, measurements_on_pareto_front
from tinysight.benchmark.results import Measurement, ModelVariant
from tinysight.stats import McNemar, PairedRatio, paired_ratio

REFERENCE = ("float32", "onnxruntime")
"""Recipe and engine of a model's reference."""
SIGNIFICANT = 0.05
"""A p value below it is significant."""
NEAR_BEST = 0.01
"""Accuracy that one would give away for speed without much thought: one point."""
MAX_NAMES = 4
"""Model variants that a sentence lists."""


@dataclass(frozen=True, slots=True)
class Row:
    """A model variant with fewest threads and smallest batch, beside its model's reference."""

    variant: ModelVariant
    measurement: Measurement
    on_front: bool
    """Whether it is on the Pareto front."""
    reference: ModelVariant | None
    """None where the result has none of this model."""
    ratio: PairedRatio | None
    """Its latency over the reference's; None without one, for the reference itself, and for too few
    calls."""
    disagreements: McNemar | None
    """First the reference, then the variant; None without either, and for the reference itself."""

    @property
    def is_reference(self) -> bool:
        return self.reference is not None and self.reference.key == self.variant.key

    @property
    def same_accuracy(self) -> bool | None:
        """Whether the difference in accuracy is within noise; None where it is unknown."""
        return None if self.disagreements is None else self.disagreements.p >= SIGNIFICANT


def rows(result: SweepResult) -> list[Row]:
    """A row for each model variant, the fastest first."""
    measurements = result.base
    by_variant = {measurement.variant: measurement for measurement in measurements}
    front = {one.variant for one in measurements_on_pareto_front(result, measurements)}
    found = []
    for measurement in measurements:
        variant = result.variant(measurement.variant)
        reference = reference_of(result, variant.model)
        other = None if reference is None or reference.key == variant.key else reference
        found.append(
            Row(
                variant,
                measurement,
                variant.key in front,
                reference,
                None if other is None else latency_ratio(measurement, by_variant[other.key]),
                None if other is None else mcnemar(result, other, variant),
            )
        )
    return found


def reference_of(result: SweepResult, model: str) -> ModelVariant | None:
    """The model's `REFERENCE`; None where it was not measured.

    No other variant takes its place: a ratio to one thing in this row and to another in the next
    says nothing.
    """
    wanted = (model, *REFERENCE)
    return next((v for v in result.variants if (v.model, v.recipe, v.engine) == wanted), None)


def latency_ratio(measurement: Measurement, reference: Measurement) -> PairedRatio | None:
    """Its latency over the reference's, call by call as interleaved; None for too few calls.

    The processes are the bootstrap's blocks: what differs from process to process counts.
    """
    pairs = list(zip(measurement.samples_ns, reference.samples_ns, strict=False))
    length = min(min(a.size, b.size) for a, b in pairs)
    if len(pairs) < 2:
        return None
    a, b = (np.concatenate([pair[side][:length] for pair in pairs]) for side in (0, 1))
    return paired_ratio(a, b, blocks=len(pairs))


def mcnemar(result: SweepResult, first: ModelVariant, second: ModelVariant) -> McNemar | None:
    """McNemar's exact test on the same images; None without predictions."""
    correct = _correct(result, first), _correct(result, second)
    if correct[0] is None or correct[1] is None:
        return None
    return McNemar.of(correct[0], correct[1])


def disagreement_indices(
    result: SweepResult, first: ModelVariant, second: ModelVariant
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices into the test images that only the first, and only the second, gets right."""
    before, after = _correct(result, first), _correct(result, second)
    if before is None or after is None:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    return np.flatnonzero(before & ~after), np.flatnonzero(~before & after)


def _correct(result: SweepResult, variant: ModelVariant) -> NDArray[np.bool_] | None:
    """Of each test image, whether the variant classifies it correctly; None without predictions."""
    if result.data is None:
        return None
    return np.asarray(result.predictions[variant.key] == result.data.targets)


def confusion_matrix(result: SweepResult, variant: ModelVariant) -> NDArray[np.int64] | None:
    """Counts by true class (row) and predicted class, int64 (classes, classes).

    None without predictions.
    """
    if result.data is None:
        return None
    classes = len(result.data.labels)
    pairs = result.data.targets * classes + result.predictions[variant.key]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def findings(found: Sequence[Row]) -> list[str]:
    """What one would say of the rows, the fastest first, whatever the figures are."""
    accuracies = {
        row.variant.key: row.variant.accuracy.value for row in found if row.variant.accuracy
    }
    if not accuracies:
        fastest = found[0]
        return [f"{_name(fastest)} is the fastest: {fastest.measurement.median_us:.1f} µs."]
    return [
        *_fastest_and_best(found, accuracies),
        *_latency_ties(found),
        *_accuracy_losses(found),
    ]


def _fastest_and_best(found: Sequence[Row], accuracies: Mapping[str, float]) -> list[str]:
    rated = [row for row in found if row.variant.key in accuracies]
    best = max(rated, key=lambda row: accuracies[row.variant.key])
    enough = accuracies[best.variant.key] - NEAR_BEST
    near = next(row for row in rated if accuracies[row.variant.key] >= enough)
    sentences = [
        f"{_name(near)} is the fastest within one point of the best accuracy: "
        f"{near.measurement.median_us:.1f} µs at {accuracies[near.variant.key]:.2%}."
    ]
    if near is not best:
        sentences.append(
            f"The most accurate, {_name(best)}, reaches {accuracies[best.variant.key]:.2%} "
            f"in {best.measurement.median_us:.1f} µs."
        )
    return sentences


def _latency_ties(found: Sequence[Row]) -> list[str]:
    tied = [
        row
        for row in found
        if row.variant.accuracy is not None and row.ratio is not None and row.ratio.within_noise
    ]
    if not tied:
        return []
    names = ", ".join(map(_name, tied[:MAX_NAMES])) + (", …" if len(tied) > MAX_NAMES else "")
    return [f"As fast as its reference, within noise: {names}."]


def _accuracy_losses(found: Sequence[Row]) -> list[str]:
    tests = [(_name(row), row.disagreements) for row in found if row.disagreements is not None]
    worse = [
        f"{name} ({100 * test.difference:+.2f} points, p {format_p(test.p)})"
        for name, test in tests
        if test.p < SIGNIFICANT and test.difference < 0
    ]
    if worse:
        return [f"Significantly less accurate than its reference: {', '.join(worse[:MAX_NAMES])}."]
    if not tests:
        return []
    return [
        f"Of {len(tests)} artifacts with a reference none is significantly less accurate "
        f"(McNemar's exact test, p < {SIGNIFICANT})."
    ]


def _name(row: Row) -> str:
    return display_name(row.variant.key)


def format_p(p: float) -> str:
    """A p value with as many digits as it deserves."""
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"
