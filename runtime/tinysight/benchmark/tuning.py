"""Finding out which artifact, engine and number of threads answer soonest on this device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinysight.benchmark.timing import Latency, time_interleaved
from tinysight.bundle import Artifact, Bundle
from tinysight.engines.registry import engine_of, installed, open_engine
from tinysight.errors import TinysightError
from tinysight.integrity.golden import golden_error
from tinysight.stats import PairedRatio, paired_ratio

SECONDS = 4.0
"""What all samples of all contestants may take together; slow models get fewer."""
FEWEST = 40


@dataclass(frozen=True, slots=True)
class TuningCandidate:
    """One way to answer, and how long it took."""

    artifact: Artifact
    threads: int
    latency: Latency
    ratio: PairedRatio
    """Its latency over the default's, sample by sample of the same turn."""

    @property
    def engine(self) -> str:
        return engine_of(self.artifact)

    def as_json(self) -> dict[str, Any]:
        return {
            "artifact": self.artifact.name,
            "engine": self.engine,
            "threads": self.threads,
            "median_us": self.latency.median,
            "samples": int(self.latency.samples.size),
            "ratio_to_default": self.ratio.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was measured, what was left out, and the winner."""

    contestants: tuple[TuningCandidate, ...]
    """The quickest first."""
    excluded: tuple[tuple[str, str], ...]
    """Artifacts that did not take part, and why."""
    default: TuningCandidate
    """The bundle's default artifact on one thread."""
    winner: TuningCandidate


def tune(
    bundle: Bundle,
    *,
    max_drop: float = 1.0,
    max_threads: int = 1,
    samples: int = 2000,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,  # noqa: ARG005
) -> Tuning:
    """Measures every artifact that runs here, at batch 1, in turns with the default on one thread.

    The default keeps its place unless another one's latency is below it for certain: the 95 %
    interval of the paired ratio must lie under 1.

    Args:
        max_drop: how many points of recorded accuracy below the best artifact one may be.
        max_threads: each takes part with 1, 2, 4, … threads, up to this number.
        samples: calls timed of each, at most.
        progress: told what is being done, how much of it is done and how much there is.

    Raises:
        TinysightError: the bundle's default does not answer here as it should.
    """
    admitted, excluded = _admit(bundle, max_drop, progress)
    default = bundle.artifact()
    if default not in admitted:
        reason = dict(excluded)[default.name]
        raise TinysightError(f"{bundle.name}: its default {default.name} {reason}")
    threads = [2**power for power in range(max_threads.bit_length()) if 2**power <= max_threads]
    variants = [(a, n) for n in threads for a in admitted]
    variants.remove((default, 1))
    variants.insert(0, (default, 1))
    shape = (1, bundle.height, bundle.width, 3)
    # Noise, not zeros: no kernel of ours is quicker on zeros, but an engine might come to be.
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    progress("timing", 0, 0)
    calls = {
        str(i): partial(open_engine(bundle, artifact, n).run, image)
        for i, (artifact, n) in enumerate(variants)
    }
    probe = time_interleaved(calls, FEWEST, SECONDS)
    round_us = sum(Latency(taken).median for taken in probe.values())
    # The same number of each, so that every sample has one of the default's beside it.
    count = int(np.clip(SECONDS * 1e6 / round_us, FEWEST, max(samples, FEWEST)))
    taken = time_interleaved(calls, count, float("inf"))
    contestants = tuple(
        TuningCandidate(
            artifact, n, Latency(taken[str(i)]), paired_ratio(taken[str(i)], taken["0"])
        )
        for i, (artifact, n) in enumerate(variants)
    )
    return Tuning(
        tuple(sorted(contestants, key=lambda c: c.latency.median)),
        tuple(excluded),
        contestants[0],
        _winner(contestants),
    )


def _admit(
    bundle: Bundle, max_drop: float, progress: Callable[[str, int, int], None]
) -> tuple[list[Artifact], list[tuple[str, str]]]:
    """The artifacts that may win, and the others with the reason."""
    accuracies = {a.name: a.accuracy["value"] for a in bundle.artifacts if a.accuracy is not None}
    best = max(accuracies.values(), default=0.0)
    admitted, excluded = [], []
    for i, artifact in enumerate(bundle.artifacts):
        progress("checking golden answers:", i, len(bundle.artifacts))
        engine = engine_of(artifact)
        drop = 100 * (best - accuracies.get(artifact.name, best))
        if not installed(engine):
            excluded.append((artifact.name, f"needs tinysight[{engine}], which is not installed"))
        elif drop > max_drop and artifact.name != bundle.default:
            excluded.append((artifact.name, f"is {drop:.2f} points less accurate than the best"))
        elif not _answers_rightly(bundle, artifact):
            excluded.append((artifact.name, "does not give the golden answers here"))
        else:
            admitted.append(artifact)
    return admitted, excluded


def _answers_rightly(bundle: Bundle, artifact: Artifact) -> bool:
    distance = golden_error(bundle, artifact, open_engine(bundle, artifact))
    # No golden answers, nothing to object to.
    return artifact.golden is None or distance is None or distance <= artifact.golden["tolerance"]


def _winner(contestants: Sequence[TuningCandidate]) -> TuningCandidate:
    """The quickest for certain; the default, which comes first, where none is."""
    certain = [c for c in contestants if c.ratio.high < 1]
    return min(certain, key=lambda c: c.ratio.value, default=contestants[0])
