"""Which artifact, engine and number of threads have the lowest latency on this device."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tinysight.benchmark.timing import Latency, random_images, time_interleaved
from tinysight.bundle import Artifact, Bundle
from tinysight.engines.registry import engine_of, installed, open_engine
from tinysight.errors import TinysightError
from tinysight.integrity.golden import compare
from tinysight.stats import PairedRatio, paired_ratio

SECONDS = 4.0
"""What all samples of all candidates may take together; slow models get fewer."""
MIN_RUNS = 40
"""Of each candidate."""


@dataclass(frozen=True, slots=True)
class TuningCandidate:
    """An artifact on so many threads, and its latency."""

    artifact: str
    engine: str
    threads: int
    runs: int
    """Timed calls."""
    median_us: float
    ratio_to_default: PairedRatio
    """Of its latency to the default's, sample by sample of the same round."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """An artifact that was not measured."""

    artifact: str
    reason: str


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was measured, what was excluded, and the winner."""

    candidates: tuple[TuningCandidate, ...]
    """The fastest first."""
    excluded: tuple[Exclusion, ...]
    default: TuningCandidate
    """The bundle's default artifact on one thread."""
    winner: TuningCandidate


def tune(
    bundle: Bundle,
    *,
    max_accuracy_drop: float = 1.0,
    max_threads: int = 1,
    runs: int = 2000,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,  # noqa: ARG005
) -> Tuning:
    """Measures every artifact that runs here, at batch 1, interleaved with the default.

    The default on one thread wins unless another one's latency is significantly below it: the 95 %
    interval of the paired ratio must lie under 1.

    Args:
        bundle: read from a folder.
        max_accuracy_drop: how many points of recorded accuracy below the best artifact a candidate
            may be.
        max_threads: each artifact is measured on 1, 2, 4, … threads, up to this number.
        runs: timed calls of each candidate, at most.
        progress: called with what is being done, how much of it is done and how much there is.

    Raises:
        TinysightError: the bundle's default does not give its golden answers here.
    """
    admitted, excluded = _admit(bundle, max_accuracy_drop, progress)
    default = bundle.artifact()
    if default not in admitted:
        reason = next(one.reason for one in excluded if one.artifact == default.name)
        raise TinysightError(f"{bundle.name}: its default {default.name} {reason}")
    threads = [2**power for power in range(max_threads.bit_length()) if 2**power <= max_threads]
    places = [(artifact, count) for count in threads for artifact in admitted]
    places.remove((default, 1))
    places.insert(0, (default, 1))
    progress("timing", 0, 0)
    samples = _time(bundle, places, runs)
    candidates = tuple(
        TuningCandidate(
            artifact.name,
            engine_of(artifact),
            count,
            samples[i].size,
            Latency(samples[i]).median_us,
            paired_ratio(samples[i], samples[0]),
        )
        for i, (artifact, count) in enumerate(places)
    )
    return Tuning(
        tuple(sorted(candidates, key=lambda candidate: candidate.median_us)),
        tuple(excluded),
        candidates[0],
        choose_winner(candidates),
    )


def choose_winner(candidates: Sequence[TuningCandidate]) -> TuningCandidate:
    """The fastest of those that are significantly faster than the default, which comes first.

    The default itself where there are none.
    """
    faster = [one for one in candidates if one.ratio_to_default.high < 1]
    return min(faster, key=lambda one: one.ratio_to_default.value, default=candidates[0])


def _time(
    bundle: Bundle, places: Sequence[tuple[Artifact, int]], runs: int
) -> Mapping[int, NDArray[np.int64]]:
    """As many samples of each, so that every one has one of the first place's beside it."""
    image = random_images(bundle)
    calls = {
        str(i): partial(open_engine(bundle, artifact, count).run, image)
        for i, (artifact, count) in enumerate(places)
    }
    trial = time_interleaved(calls, MIN_RUNS, SECONDS)
    round_us = sum(Latency(taken).median_us for taken in trial.values())
    count = int(np.clip(SECONDS * 1e6 / round_us, MIN_RUNS, max(runs, MIN_RUNS)))
    taken = time_interleaved(calls, count, float("inf"))
    return {i: taken[str(i)] for i in range(len(places))}


def _admit(
    bundle: Bundle, max_accuracy_drop: float, progress: Callable[[str, int, int], None]
) -> tuple[list[Artifact], list[Exclusion]]:
    """The artifacts that may win, and the others with the reason."""
    accuracies = {a.name: a.accuracy.value for a in bundle.artifacts if a.accuracy is not None}
    best = max(accuracies.values(), default=0.0)
    admitted, excluded = [], []
    for i, artifact in enumerate(bundle.artifacts):
        progress("checking golden answers:", i, len(bundle.artifacts))
        engine = engine_of(artifact)
        drop = 100 * (best - accuracies.get(artifact.name, best))
        if not installed(engine):
            reason = f"needs tinysight[{engine}], which is not installed"
        elif drop > max_accuracy_drop and artifact.name != bundle.default:
            reason = f"is {drop:.2f} points less accurate than the best"
        elif not _gives_golden_answers(bundle, artifact):
            reason = "does not give the golden answers here"
        else:
            admitted.append(artifact)
            continue
        excluded.append(Exclusion(artifact.name, reason))
    return admitted, excluded


def _gives_golden_answers(bundle: Bundle, artifact: Artifact) -> bool:
    """True as well where there are none to compare with."""
    if artifact.golden is None:
        return True
    return compare(open_engine(bundle, artifact).run, artifact.golden, bundle).ok
