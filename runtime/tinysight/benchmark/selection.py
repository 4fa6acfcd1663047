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
from tinysight.benchmark.reference_ops import empty_call
from tinysight.benchmark.results import Bench
from tinysight.benchmark.timing import Latency, in_turns, noise
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
    us: float
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
class Miss:
    """A limit that a candidate does not keep."""

    what: str
    limit: float
    got: float | None
    """None where it is unknown."""
    by: float
    """How many times the limit, less one; infinite where it is unknown."""

    def __str__(self) -> str:
        show = _SHOW[self.what]
        if self.got is None:
            return f"its {self.what} is unknown ({_HINT[self.what]})"
        return f"{self.what} {show.format(self.got)} for {show.format(self.limit)}"


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

    us: float | None = None
    accuracy: float | None = None
    """Percent, at least."""
    kb: float | None = None
    """Thousands of bytes of the model file."""
    mb_ram: float | None = None

    def __post_init__(self) -> None:
        limits = [v for v in (self.us, self.accuracy, self.kb, self.mb_ram) if v is not None]
        if not limits:
            raise ValueError("a budget needs at least one limit")
        if not all(0 < limit < math.inf for limit in limits):
            raise ValueError("every limit must be above 0, and finite")
        if self.accuracy is not None and self.accuracy > 100:
            raise ValueError("no accuracy is above 100 %")

    def misses(self, candidate: Candidate) -> list[Miss]:
        """The limits that it does not keep."""
        accuracy = candidate.accuracy
        found = (
            ("latency", self.us, candidate.us),
            ("accuracy", self.accuracy, None if accuracy is None else 100 * accuracy.value),
            ("size", self.kb, candidate.bytes / 1000),
            ("memory", self.mb_ram, candidate.peak_mb),
        )
        return [
            Miss(what, limit, got, by)
            for what, limit, got in found
            if limit is not None and (by := _excess(what, limit, got)) > 0
        ]


def _excess(what: str, limit: float, got: float | None) -> float:
    """How far beyond the limit, as a part of it; 0 or less where it is kept."""
    if got is None:
        return math.inf
    if what == "accuracy":
        return math.inf if got == 0 else limit / got - 1
    return got / limit - 1


@dataclass(frozen=True, slots=True)
class Selection:
    """What to ship, or why nothing can be."""

    chosen: Candidate | None
    feasible: tuple[Candidate, ...]
    """All that keep every limit, the most accurate first."""
    nearest: Candidate
    """What was chosen, or what misses its worst limit by the least."""
    misses: tuple[Miss, ...]
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
                    "what": miss.what,
                    "limit": miss.limit,
                    "got": miss.got,
                    "by": miss.by if math.isfinite(miss.by) else None,
                }
                for miss in self.misses
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
        (candidate for candidate in candidates if not budget.misses(candidate)),
        key=lambda candidate: (-_worth(candidate), candidate.us),
    )
    if feasible:
        chosen, reasons = _choose(feasible, budget)
        return Selection(chosen, tuple(feasible), chosen, (), tuple(reasons))
    nearest = min(candidates, key=lambda c: (max(m.by for m in budget.misses(c)), c.us))
    reasons = _proof(candidates, budget, floor_us)
    return Selection(None, (), nearest, tuple(budget.misses(nearest)), tuple(reasons))


def pareto_front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that nothing else beats in both latency and accuracy, the quickest first."""
    front: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (c.us, -_worth(c))):
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
    chosen = min(alike, key=lambda candidate: candidate.us)
    reasons = []
    if chosen is not best and best.accuracy and chosen.accuracy:
        reasons.append(
            f"{best.name} is more accurate by {100 * (_worth(best) - _worth(chosen)):.2f} points, "
            f"which is within noise, and takes {best.us / chosen.us:.2f} times as long"
        )
    if budget.us is not None and chosen.interval is not None and chosen.interval[1] > budget.us:
        reasons.append(
            f"too near to the limit to be sure: its median is {chosen.interval[0]:.1f} to "
            f"{chosen.interval[1]:.1f} us"
        )
    return chosen, reasons


def _proof(candidates: Sequence[Candidate], budget: Budget, floor: float | None) -> list[str]:
    """For each limit: the best that there is among those which keep all of the others."""
    reasons = []
    if budget.us is not None and floor is not None and floor > budget.us:
        reasons.append(
            f"an empty graph takes {floor:.1f} us in onnxruntime here: no model at all answers in "
            f"{budget.us:g} us there"
        )
    missed = {c: {miss.what: miss for miss in budget.misses(c)} for c in candidates}
    for what in _SHOW:
        only = [miss for c in candidates if (miss := missed[c].get(what)) and len(missed[c]) == 1]
        never = all(what in missed[c] for c in candidates)
        if not only and not never:
            continue
        misses = only or [missed[c][what] for c in candidates]
        best = min(misses, key=lambda miss: miss.by)
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
        "median_us": candidate.us,
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
    entries = [(bundle, artifact) for bundle in bundles for artifact in runnable(bundle)]
    accuracy = {}
    for bundle, artifact in entries:
        if data is not None:
            run = open_engine(bundle, artifact, info.cores()).run
            batches = labelled_batches(data, bundle)
            accuracy[id(artifact)] = Accuracy(*correct_answers(run, batches))
        elif artifact.accuracy is not None:
            value = artifact.accuracy
            accuracy[id(artifact)] = Accuracy(value["correct"], value["n"])
    candidates, floor = [], 0.0
    # One number of threads after the other: idle pools spin for a while, in each other's way.
    for count in threads:
        images = [noise(bundle) for bundle, _ in entries]
        calls = {
            str(i): partial(open_engine(*entry, count).run, image)
            for i, (entry, image) in enumerate(zip(entries, images, strict=True))
        }
        times = in_turns({"floor": empty_call(images[0]), **calls}, samples, SECONDS)
        taken = {name: Latency(values) for name, values in times.items()}
        floor = min(floor or taken["floor"].median, taken["floor"].median)
        for i, (bundle, artifact) in enumerate(entries):
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
    return candidates, floor


def recorded(
    result: Bench, bundles: Sequence[Bundle], file: Path
) -> tuple[list[Candidate], float | None]:
    """The candidates in a bench, of these bundles if there are any; and its empty graph, in us.

    Raises TinysightError where it measured none of a bundle's artifacts, or other files.
    """
    for bundle in bundles:
        mine = [entry for entry in result.entries if entry.model == bundle.name]
        if not mine:
            raise TinysightError(f"{file}: {bundle.name} was not measured")
        known = {artifact.sha256 for artifact in bundle.artifacts}
        other = next((entry.artifact for entry in mine if entry.sha256 not in known), None)
        if other is not None:
            raise TinysightError(f"{file}: measured another {other} than {bundle.name} has now")
    names = {bundle.name for bundle in bundles}
    candidates = []
    for cell in result.single():
        entry, start = result.entry(cell.entry), result.start(cell)
        if names and entry.model not in names:
            continue
        candidates.append(
            Candidate(
                entry.model,
                entry.artifact,
                entry.engine,
                cell.threads,
                cell.median,
                cell.interval,
                entry.accuracy,
                entry.bytes,
                None if start is None else start.peak_memory_mb,
            )
        )
    if not candidates:
        raise TinysightError(f"{file}: nothing was measured at batch 1")
    return candidates, min(floor.median for floor in result.floors)
