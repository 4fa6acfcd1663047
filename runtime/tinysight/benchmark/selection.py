"""The budget first: which artifact to ship, or why none can keep the budget."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinysight.benchmark.accuracy import correct_answers
from tinysight.benchmark.cold_start import cold_start
from tinysight.benchmark.reference_ops import identity_model_call
from tinysight.benchmark.results import BenchmarkResult
from tinysight.benchmark.timing import Latency, random_images, time_interleaved
from tinysight.bundle import Bundle
from tinysight.device import info
from tinysight.engines.registry import engine_of, open_engine, runnable
from tinysight.errors import TinysightError
from tinysight.image_files import labelled_batches
from tinysight.stats import Accuracy, median_interval


@dataclass(frozen=True, slots=True)
class Candidate:
    """An artifact as it was measured, with one engine on so many threads."""

    bundle: str
    artifact: str
    engine: str
    threads: int
    latency_us: float
    """Median latency at batch 1, microseconds."""
    interval: tuple[float, float] | None
    """Of the median, 95 %; None for too few samples."""
    accuracy: Accuracy | None
    bytes: int
    peak_mb: float | None
    """Resident memory of a whole process; None where it was not measured."""

    @property
    def name(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.bundle}/{self.artifact} with {self.engine} on {threads}"


@dataclass(frozen=True, slots=True)
class Violation:
    """A limit that a candidate does not keep."""

    what: str
    limit: float
    actual: float | None
    """None where it is unknown."""
    excess: float
    """How many times the limit, less one; infinite where it is unknown."""

    def __str__(self) -> str:
        show = _SHOW[self.what]
        if self.actual is None:
            return f"its {self.what} is unknown ({_HINT[self.what]})"
        return f"{self.what} {show.format(self.actual)} for {show.format(self.limit)}"


_SHOW = {
    "latency": "{:.1f} us",
    "accuracy": "{:.2f} %",
    "size": "{:.0f} KB",
    "memory": "{:.0f} MB",
}
_HINT = {"accuracy": "give --data", "memory": "this system hides it"}
_BEST = {
    "latency": "the quickest",
    "accuracy": "the most accurate",
    "size": "the smallest",
    "memory": "the most frugal",
}


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits; those that are None are none."""

    latency_us: float | None = None
    accuracy: float | None = None
    """Percent, at least."""
    kb: float | None = None
    """Thousands of bytes of the model file."""
    mb_ram: float | None = None

    def __post_init__(self) -> None:
        limits = [
            v for v in (self.latency_us, self.accuracy, self.kb, self.mb_ram) if v is not None
        ]
        if not limits:
            raise ValueError("a budget needs at least one limit")
        if not all(0 < limit < math.inf for limit in limits):
            raise ValueError("every limit must be above 0, and finite")
        if self.accuracy is not None and self.accuracy > 100:
            raise ValueError("no accuracy is above 100 %")

    def violations(self, candidate: Candidate) -> list[Violation]:
        """The limits that it does not keep."""
        accuracy = candidate.accuracy
        found = (
            ("latency", self.latency_us, candidate.latency_us),
            ("accuracy", self.accuracy, None if accuracy is None else 100 * accuracy.value),
            ("size", self.kb, candidate.bytes / 1000),
            ("memory", self.mb_ram, candidate.peak_mb),
        )
        return [
            Violation(what, limit, actual, excess)
            for what, limit, actual in found
            if limit is not None and (excess := _excess(what, limit, actual)) > 0
        ]


def _excess(what: str, limit: float, actual: float | None) -> float:
    """How far beyond the limit, as a part of it; 0 or less where it is kept."""
    if actual is None:
        return math.inf
    if what == "accuracy":
        return math.inf if actual == 0 else limit / actual - 1
    return actual / limit - 1


@dataclass(frozen=True, slots=True)
class Selection:
    """What to ship, or why nothing can be."""

    chosen: Candidate | None
    feasible: tuple[Candidate, ...]
    """All that keep every limit, the most accurate first."""
    nearest: Candidate
    """What was chosen, or what misses its worst limit by the least."""
    violations: tuple[Violation, ...]
    """Of the nearest."""
    reasons: tuple[str, ...]
    """Why this one; or the proof that none of these can keep the budget."""

    def as_json(self) -> dict[str, Any]:
        return {
            "chosen": self.chosen and _as_json(self.chosen),
            "feasible": [_as_json(candidate) for candidate in self.feasible],
            "nearest": _as_json(self.nearest),
            "misses": [
                {
                    "what": violation.what,
                    "limit": violation.limit,
                    "got": violation.actual,
                    "by": violation.excess if math.isfinite(violation.excess) else None,
                }
                for violation in self.violations
            ],
            "reasons": list(self.reasons),
        }


def select(candidates: Sequence[Candidate], budget: Budget, floor_us: float | None) -> Selection:
    """The most accurate one that keeps every limit; within noise of it, the quickest.

    Args:
        candidates: at least one.
        budget: the limits.
        floor_us: what a call of an empty graph takes here; None where it was not measured.

    Raises:
        ValueError: there are no candidates.
    """
    if not candidates:
        raise ValueError("nothing to choose from")
    feasible = sorted(
        (candidate for candidate in candidates if not budget.violations(candidate)),
        key=lambda candidate: (-_worth(candidate), candidate.latency_us),
    )
    if feasible:
        chosen, reasons = _choose(feasible, budget)
        return Selection(chosen, tuple(feasible), chosen, (), tuple(reasons))
    nearest = min(
        candidates, key=lambda c: (max(m.excess for m in budget.violations(c)), c.latency_us)
    )
    reasons = _proof(candidates, budget, floor_us)
    return Selection(None, (), nearest, tuple(budget.violations(nearest)), tuple(reasons))


def pareto_front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that nothing else beats in both latency and accuracy, the quickest first."""
    front: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (c.latency_us, -_worth(c))):
        if not front or _worth(candidate) > _worth(front[-1]):
            front.append(candidate)
    return front


def _worth(candidate: Candidate) -> float:
    return -1.0 if candidate.accuracy is None else candidate.accuracy.value


def _choose(feasible: Sequence[Candidate], budget: Budget) -> tuple[Candidate, list[str]]:
    best = feasible[0]
    alike = [best]
    if best.accuracy is not None:
        low = best.accuracy.interval[0]
        alike = [candidate for candidate in feasible if _worth(candidate) >= low]
    chosen = min(alike, key=lambda candidate: candidate.latency_us)
    reasons = []
    if chosen is not best and best.accuracy and chosen.accuracy:
        reasons.append(
            f"{best.name} is more accurate by {100 * (_worth(best) - _worth(chosen)):.2f} points, "
            f"which is within noise, and takes {best.latency_us / chosen.latency_us:.2f} times as long"
        )
    if (
        budget.latency_us is not None
        and chosen.interval is not None
        and chosen.interval[1] > budget.latency_us
    ):
        reasons.append(
            f"too near to the limit to be sure: its median is {chosen.interval[0]:.1f} to "
            f"{chosen.interval[1]:.1f} us"
        )
    return chosen, reasons


def _proof(
    candidates: Sequence[Candidate], budget: Budget, identity_latency: float | None
) -> list[str]:
    """For each limit: the best that there is among those which keep all of the others."""
    reasons = []
    if (
        budget.latency_us is not None
        and identity_latency is not None
        and identity_latency > budget.latency_us
    ):
        reasons.append(
            f"an empty graph takes {identity_latency:.1f} us in onnxruntime here: no model at all answers in "
            f"{budget.latency_us:g} us there"
        )
    missed = {
        c: {violation.what: violation for violation in budget.violations(c)} for c in candidates
    }
    for what in _SHOW:
        only = [
            violation
            for c in candidates
            if (violation := missed[c].get(what)) and len(missed[c]) == 1
        ]
        never = all(what in missed[c] for c in candidates)
        if not only and not never:
            continue
        violations = only or [missed[c][what] for c in candidates]
        best = min(violations, key=lambda violation: violation.excess)
        among = (
            f"of all {len(candidates)} measured"
            if never
            else f"of the {len(only)} that keep every other limit"
        )
        reasons.append(f"{_BEST[what]} {among}: {best}")
    if not reasons:
        reasons.append("each of them misses two limits or more")
    return reasons


def _as_json(candidate: Candidate) -> dict[str, Any]:
    return {
        "bundle": candidate.bundle,
        "artifact": candidate.artifact,
        "engine": candidate.engine,
        "threads": candidate.threads,
        "median_us": candidate.latency_us,
        "interval_us": candidate.interval and list(candidate.interval),
        "accuracy": candidate.accuracy and candidate.accuracy.as_json(),
        "bytes": candidate.bytes,
        "peak_memory_mb": candidate.peak_mb,
    }


SECONDS = 2.0
"""For each artifact, at most: a slow one is called less often."""


BLOCKS = 10
"""Runs of neighbouring samples, whose medians give the interval."""


def measured(
    bundles: Sequence[Bundle],
    threads: Sequence[int],
    samples: int,
    data: Path | None,
    *,
    memory: bool,
) -> tuple[list[Candidate], float]:
    """Every artifact that runs here on every number of threads, and the empty graph, in turns.

    Returns the candidates, and what a call of the empty graph takes on one thread, in us.
    """
    variants = [(bundle, artifact) for bundle in bundles for artifact in runnable(bundle)]
    accuracy = {}
    for bundle, artifact in variants:
        if data is not None:
            run = open_engine(bundle, artifact, info.cores()).run
            batches = labelled_batches(data, bundle)
            accuracy[id(artifact)] = Accuracy(*correct_answers(run, batches))
        elif artifact.accuracy is not None:
            value = artifact.accuracy
            accuracy[id(artifact)] = Accuracy(value["correct"], value["n"])
    candidates, identity_latency = [], 0.0
    # One number of threads after the other: idle pools spin for a while, in each other's way.
    for count in threads:
        images = [random_images(bundle) for bundle, _ in variants]
        calls = {
            str(i): partial(open_engine(*variant, count).run, image)
            for i, (variant, image) in enumerate(zip(variants, images, strict=True))
        }
        times = time_interleaved(
            {"floor": identity_model_call(images[0]), **calls}, samples, SECONDS
        )
        taken = {name: Latency(values) for name, values in times.items()}
        identity_latency = min(identity_latency or taken["floor"].median, taken["floor"].median)
        for i, (bundle, artifact) in enumerate(variants):
            latency = taken[str(i)]
            blocks = np.array_split(latency.samples / 1e3, BLOCKS)
            medians = np.array([np.median(block) for block in blocks if block.size])
            candidates.append(
                Candidate(
                    bundle.name,
                    artifact.name,
                    engine_of(artifact),
                    count,
                    latency.median,
                    median_interval(medians),
                    accuracy.get(id(artifact)),
                    artifact.bytes,
                    cold_start(bundle, artifact, count).peak_memory_mb if memory else None,
                )
            )
    return candidates, identity_latency


def recorded(
    result: BenchmarkResult, bundles: Sequence[Bundle], file: Path
) -> tuple[list[Candidate], float | None]:
    """The candidates in a bench, of these bundles if there are any; and its empty graph, in us.

    Raises TinysightError where it measured none of a bundle's artifacts, or other files.
    """
    for bundle in bundles:
        mine = [variant for variant in result.variants if variant.model == bundle.name]
        if not mine:
            raise TinysightError(f"{file}: {bundle.name} was not measured")
        known = {artifact.sha256 for artifact in bundle.artifacts}
        other = next((variant.artifact for variant in mine if variant.sha256 not in known), None)
        if other is not None:
            raise TinysightError(f"{file}: measured another {other} than {bundle.name} has now")
    names = {bundle.name for bundle in bundles}
    candidates = []
    for measurement in result.single():
        variant, start = result.variant(measurement.variant), result.start(measurement)
        if names and variant.model not in names:
            continue
        candidates.append(
            Candidate(
                variant.model,
                variant.artifact,
                variant.engine,
                measurement.threads,
                measurement.median,
                measurement.interval,
                variant.accuracy,
                variant.bytes,
                None if start is None else start.peak_memory_mb,
            )
        )
    if not candidates:
        raise TinysightError(f"{file}: nothing was measured at batch 1")
    return candidates, min(
        identity_latency.median for identity_latency in result.identity_latencies
    )
