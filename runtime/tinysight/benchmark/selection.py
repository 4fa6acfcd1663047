"""Selecting the artifact to ship within a budget, or saying why none keeps the budget."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from tinysight.benchmark.accuracy import correct_answers
from tinysight.benchmark.cold_start import cold_start
from tinysight.benchmark.pareto import pareto_front
from tinysight.benchmark.reference_ops import identity_model_call
from tinysight.benchmark.results import BenchmarkResult
from tinysight.benchmark.timing import Latency, random_images, time_interleaved
from tinysight.bundle import Artifact, Bundle, MicrocontrollerMemory
from tinysight.device import info
from tinysight.engines.registry import engine_of, open_engine, runnable
from tinysight.errors import TinysightError
from tinysight.image_files import labelled_batches
from tinysight.stats import Accuracy, median_interval

SECONDS = 2.0
"""Timed calls of each artifact, at most: slow ones are called less often."""
BLOCKS = 10
"""Of neighbouring samples, whose medians give the interval."""

Quantity = Literal["latency", "accuracy", "size", "memory", "flash", "arena"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An artifact as it was measured, with one engine on so many threads."""

    bundle: str
    artifact: str
    engine: str
    threads: int
    latency_us: float
    """Median latency at batch 1, microseconds."""
    interval_us: tuple[float, float] | None
    """Of the median, 95 %; None for too few samples."""
    accuracy: Accuracy | None
    bytes: int
    peak_memory_mb: float | None
    """Resident memory of a whole process; None where it was not measured."""
    microcontroller: MicrocontrollerMemory | None = None
    """As the bundle records it."""

    @property
    def name(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.bundle}/{self.artifact} with {self.engine} on {threads}"


@dataclass(frozen=True, slots=True)
class Violation:
    """A limit that a candidate does not keep."""

    quantity: Quantity
    limit: float
    """In microseconds, percent, thousands of bytes (size, flash, arena) or MB (memory)."""
    actual: float | None
    """None where it is unknown."""
    excess: float | None
    """How far beyond the limit, as a fraction of it; None where it is unknown or has no end."""

    def __str__(self) -> str:
        show = _SHOW[self.quantity]
        if self.actual is None:
            return f"its {self.quantity} is unknown ({_HINT[self.quantity]})"
        bound = "at least" if self.quantity == "accuracy" else "at most"
        actual, limit = show.format(self.actual), show.format(self.limit)
        return f"{self.quantity} {actual}, allowed is {bound} {limit}"

    @property
    def severity(self) -> float:
        """The excess, or infinity."""
        return math.inf if self.excess is None else self.excess


_SHOW: dict[Quantity, str] = {
    "latency": "{:.1f} us",
    "accuracy": "{:.2f} %",
    "size": "{:.0f} KB",
    "memory": "{:.0f} MB",
    "flash": "{:.1f} KB",
    "arena": "{:.1f} KB",
}
_NO_MICROCONTROLLER = "only an int8 .tflite that was exported with tflite-micro has it"
_HINT: dict[Quantity, str] = {
    "latency": "measure it",
    "accuracy": "give --data",
    "size": "measure it",
    "memory": "this system hides it",
    "flash": _NO_MICROCONTROLLER,
    "arena": _NO_MICROCONTROLLER,
}
_BEST: dict[Quantity, str] = {
    "latency": "the fastest",
    "accuracy": "the most accurate",
    "size": "the smallest",
    "memory": "the one with the least memory",
    "flash": "the smallest in flash",
    "arena": "the one with the smallest arena",
}


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits; None is no limit."""

    max_latency_us: float | None = None
    """Median at batch 1."""
    min_accuracy: float | None = None
    """Percent."""
    max_size_kb: float | None = None
    """Thousands of bytes of the model file."""
    max_ram_mb: float | None = None
    """Peak memory of the process."""
    max_flash_kb: float | None = None
    """Thousands of bytes of the model on a microcontroller."""
    max_arena_kb: float | None = None
    """Thousands of bytes of TensorFlow Lite Micro's tensor arena."""

    def __post_init__(self) -> None:
        limits = [limit for _, limit in self._limits() if limit is not None]
        if not limits:
            raise ValueError("a budget needs at least one limit")
        if not all(0 < limit < math.inf for limit in limits):
            raise ValueError("every limit must be above 0, and finite")
        if self.min_accuracy is not None and self.min_accuracy > 100:
            raise ValueError("no accuracy is above 100 %")

    def _limits(self) -> tuple[tuple[Quantity, float | None], ...]:
        return (
            ("latency", self.max_latency_us),
            ("accuracy", self.min_accuracy),
            ("size", self.max_size_kb),
            ("memory", self.max_ram_mb),
            ("flash", self.max_flash_kb),
            ("arena", self.max_arena_kb),
        )

    def violations(self, candidate: Candidate) -> list[Violation]:
        """The limits that it does not keep."""
        accuracy, micro = candidate.accuracy, candidate.microcontroller
        actual: dict[Quantity, float | None] = {
            "latency": candidate.latency_us,
            "accuracy": None if accuracy is None else 100 * accuracy.value,
            "size": candidate.bytes / 1000,
            "memory": candidate.peak_memory_mb,
            "flash": None if micro is None else micro.flash_bytes / 1000,
            "arena": None if micro is None else micro.arena_bytes / 1000,
        }
        return [
            violation
            for quantity, limit in self._limits()
            if limit is not None
            and (violation := _violation(quantity, limit, actual[quantity])) is not None
        ]


def _violation(quantity: Quantity, limit: float, actual: float | None) -> Violation | None:
    if actual is None or (quantity == "accuracy" and actual == 0):
        return Violation(quantity, limit, actual, None)
    excess = (limit / actual if quantity == "accuracy" else actual / limit) - 1
    return Violation(quantity, limit, actual, excess) if excess > 0 else None


@dataclass(frozen=True, slots=True)
class Selection:
    """What to ship, or why nothing can be."""

    chosen: Candidate | None
    feasible: tuple[Candidate, ...]
    """All that keep every limit, the most accurate first."""
    nearest: Candidate
    """What was chosen, or what exceeds its worst limit by the least."""
    violations: tuple[Violation, ...]
    """Of the nearest."""
    reasons: tuple[str, ...]
    """Why this one; or for each limit, the best that there is."""


def select(
    candidates: Sequence[Candidate], budget: Budget, identity_latency_us: float | None
) -> Selection:
    """The most accurate one that keeps every limit; or the fastest within noise of its accuracy.

    Args:
        candidates: at least one.
        budget: the limits.
        identity_latency_us: the latency of the identity model; None where it was not measured.

    Raises:
        ValueError: there are no candidates.
    """
    if not candidates:
        raise ValueError("there are no candidates to select from")
    feasible = sorted(
        (candidate for candidate in candidates if not budget.violations(candidate)),
        key=lambda candidate: (-_accuracy(candidate), candidate.latency_us),
    )
    if feasible:
        chosen, reasons = _choose(feasible, budget)
        return Selection(chosen, tuple(feasible), chosen, (), tuple(reasons))
    nearest = min(
        candidates,
        key=lambda c: (max(one.severity for one in budget.violations(c)), c.latency_us),
    )
    reasons = _explain(candidates, budget, identity_latency_us)
    return Selection(None, (), nearest, tuple(budget.violations(nearest)), tuple(reasons))


def candidates_on_pareto_front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that no other one beats in both latency and accuracy, the fastest first.

    An unknown accuracy is below all others.
    """
    return pareto_front(candidates, lambda candidate: candidate.latency_us, _accuracy)


def _accuracy(candidate: Candidate) -> float:
    return -1.0 if candidate.accuracy is None else candidate.accuracy.value


def _choose(feasible: Sequence[Candidate], budget: Budget) -> tuple[Candidate, list[str]]:
    best = feasible[0]
    alike = [best]
    if best.accuracy is not None:
        low = best.accuracy.interval[0]
        alike = [candidate for candidate in feasible if _accuracy(candidate) >= low]
    chosen = min(alike, key=lambda candidate: candidate.latency_us)
    reasons = []
    if chosen is not best and best.accuracy and chosen.accuracy:
        points = 100 * (_accuracy(best) - _accuracy(chosen))
        reasons.append(
            f"{best.name} is more accurate by {points:.2f} points, which is within noise, and "
            f"takes {best.latency_us / chosen.latency_us:.2f} times as long"
        )
    limit, interval = budget.max_latency_us, chosen.interval_us
    if limit is not None and interval is not None and interval[1] > limit:
        reasons.append(
            f"too near to the limit to be sure: its median is {interval[0]:.1f} to "
            f"{interval[1]:.1f} us"
        )
    return chosen, reasons


def _explain(
    candidates: Sequence[Candidate], budget: Budget, identity_latency_us: float | None
) -> list[str]:
    """For each limit: the best that there is among those which keep all of the others."""
    reasons = []
    limit = budget.max_latency_us
    if limit is not None and identity_latency_us is not None and identity_latency_us > limit:
        reasons.append(
            f"the identity model takes {identity_latency_us:.1f} us in onnxruntime here: no model "
            f"in it can answer within {limit:g} us"
        )
    violated = [{one.quantity: one for one in budget.violations(c)} for c in candidates]
    for quantity, best in _BEST.items():
        only = [one[quantity] for one in violated if set(one) == {quantity}]
        all_of_them = [one[quantity] for one in violated if quantity in one]
        everywhere = len(all_of_them) == len(candidates)
        if not only and not everywhere:
            continue
        nearest = min(only or all_of_them, key=lambda violation: violation.severity)
        among = (
            f"of all {len(candidates)} measured"
            if everywhere
            else f"of the {len(only)} that keep every other limit"
        )
        reasons.append(f"{best} {among}: {nearest}")
    return reasons or ["each of them exceeds two limits or more"]


def measure_candidates(
    bundles: Sequence[Bundle],
    threads: Sequence[int],
    runs: int,
    data: Path | None,
    *,
    memory: bool,
) -> tuple[list[Candidate], float]:
    """Measures every artifact that runs here, on every number of threads, interleaved.

    Args:
        bundles: read from folders.
        threads: the numbers of threads to measure each artifact on.
        runs: timed calls of each, at most.
        data: labelled images, to measure the accuracy; None takes what the bundles recorded.
        memory: whether to measure the peak memory, in a process for each.

    Returns:
        The candidates, and the latency of the identity model in microseconds.
    """
    pairs = [(bundle, artifact) for bundle in bundles for artifact in runnable(bundle)]
    accuracies = [_measure_accuracy(*pair, data) for pair in pairs]
    candidates = []
    identity_latency = math.inf
    # One number of threads after the other: idle pools spin for a while, in each other's way.
    for count in threads:
        calls = {
            str(i): partial(open_engine(*pair, count).run, random_images(pair[0]))
            for i, pair in enumerate(pairs)
        }
        identity = identity_model_call(random_images(pairs[0][0]))
        times = time_interleaved({"identity": identity, **calls}, runs, SECONDS)
        identity_latency = min(identity_latency, Latency(times["identity"]).median_us)
        for i, (bundle, artifact) in enumerate(pairs):
            latency = Latency(times[str(i)])
            candidates.append(
                Candidate(
                    bundle.name,
                    artifact.name,
                    engine_of(artifact),
                    count,
                    latency.median_us,
                    _interval_us(latency),
                    accuracies[i],
                    artifact.bytes,
                    cold_start(bundle, artifact, count).peak_memory_mb if memory else None,
                    artifact.microcontroller,
                )
            )
    return candidates, identity_latency


def _measure_accuracy(bundle: Bundle, artifact: Artifact, data: Path | None) -> Accuracy | None:
    if data is None:
        return artifact.accuracy
    run = open_engine(bundle, artifact, info.cores()).run
    return Accuracy(*correct_answers(run, labelled_batches(data, bundle)))


def _interval_us(latency: Latency) -> tuple[float, float] | None:
    blocks = np.array_split(latency.samples_ns / 1e3, BLOCKS)
    return median_interval(np.array([np.median(block) for block in blocks if block.size]))


def recorded_candidates(
    result: BenchmarkResult, bundles: Sequence[Bundle], file: Path
) -> tuple[list[Candidate], float]:
    """The candidates in a result of `tinysight bench`, and its identity model's latency in us.

    Args:
        result: of the device to select for.
        bundles: of which the candidates are to be; none for all that were measured.
        file: the result's, for the message of an error.

    Raises:
        TinysightError: it measured none of a bundle's artifacts, or other files than these.
    """
    for bundle in bundles:
        own = [variant for variant in result.variants if variant.model == bundle.name]
        if not own:
            raise TinysightError(f"{file}: {bundle.name} was not measured")
        known = {artifact.sha256 for artifact in bundle.artifacts}
        other = next((variant.artifact for variant in own if variant.sha256 not in known), None)
        if other is not None:
            raise TinysightError(f"{file}: measured another {other} than {bundle.name} has now")
    names = {bundle.name for bundle in bundles} or {variant.model for variant in result.variants}
    candidates = []
    for measurement in result.single():
        variant, starts = result.variant(measurement.variant), result.cold_start(measurement)
        if variant.model not in names:
            continue
        candidates.append(
            Candidate(
                variant.model,
                variant.artifact,
                variant.engine,
                measurement.threads,
                measurement.median_us,
                measurement.interval_us,
                variant.accuracy,
                variant.bytes,
                None if starts is None else starts.peak_memory_mb,
                variant.microcontroller,
            )
        )
    if not candidates:
        raise TinysightError(f"{file}: nothing was measured at batch 1")
    return candidates, min(latency.median_us for latency in result.identity_latencies)
