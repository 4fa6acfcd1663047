"""What this device needs for a bundle: start-up, latency, memory, accuracy.

Latencies of several artifacts are taken in turns, so that a machine that slows down while it is
measured slows all of them alike.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight import golden
from tinysight.bundle import Artifact, Bundle
from tinysight.engine import Engine, engine_of
from tinysight.errors import BundleError, TinysightError
from tinysight.fresh import first_line
from tinysight.preprocess import Pixels

WARM_UP = 50
"""Calls that are not counted: the first ones allocate, and fill caches."""
_ENGINE_MODULES = {"onnxruntime": "onnxruntime", "litert": "ai_edge_litert.interpreter"}
"""What a process imports for an engine; the packages' own modules are `tinysight.engine`'s."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Times of single calls, int64 nanoseconds, in the order they were taken."""

    samples: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.size == 0:
            raise ValueError("a latency needs at least one sample")

    def percentile(self, percent: float) -> float | None:
        """In microseconds; None where fewer than ten samples lie beyond it, too few to tell."""
        if self.samples.size * min(percent, 100 - percent) / 100 < 10:
            return None
        return float(np.percentile(self.samples, percent)) / 1e3

    @property
    def median(self) -> float:
        """In microseconds."""
        return float(np.median(self.samples)) / 1e3

    def as_json(self) -> dict[str, Any]:
        """Microseconds; `images_per_second` is one over the mean."""
        return {
            "median_us": self.median,
            "p90_us": self.percentile(90),
            "p99_us": self.percentile(99),
            "images_per_second": 1e9 / float(self.samples.mean()),
            "samples": int(self.samples.size),
        }


def interleave(
    calls: Mapping[str, Callable[[], object]],
    samples: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Latency]:
    """Times each call `samples` times, all in turns, after a warm-up that is thrown away.

    Args:
        calls: what to time, by name.
        samples: how often, at least 1.
        progress: told the rounds done and the rounds in all.
    """
    names = list(calls)
    times = {name: np.empty(samples, dtype=np.int64) for name in names}
    for call in calls.values():
        for _ in range(WARM_UP):
            call()
    clock = time.perf_counter_ns
    for turn in range(samples):
        # Each round starts with another one, so that none always runs behind the same neighbour.
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            call = calls[name]
            began = clock()
            call()
            times[name][turn] = clock() - began
        if progress is not None:
            progress(turn + 1, samples)
    return {name: Latency(values) for name, values in times.items()}


@dataclass(frozen=True, slots=True)
class ColdStart:
    """A fresh process on its way to the first answer; milliseconds, and MB of resident memory."""

    process_ms: float
    """Until Python has started; and until its answer has come back."""
    import_ms: float
    """Of tinysight, numpy, and the engine."""
    load_ms: float
    """The bundle read and checked, the engine's session made."""
    first_answer_ms: float
    peak_memory_mb: float | None
    """Of the whole process, Python and the engine included; None where the system hides it."""

    def __post_init__(self) -> None:
        parts = (self.process_ms, self.import_ms, self.load_ms, self.first_answer_ms)
        if not all(part >= 0 for part in parts):
            raise ValueError("no part of a cold start takes less than no time")
        if self.peak_memory_mb is not None and not self.peak_memory_mb > 0:
            raise ValueError("a process has some memory")

    @property
    def total_ms(self) -> float:
        return self.process_ms + self.import_ms + self.load_ms + self.first_answer_ms


def cold_start(bundle: Bundle, artifact: Artifact, threads: int = 1) -> ColdStart:
    """Starts a process of its own for one answer. Raises BundleError when that process fails."""
    module = _ENGINE_MODULES[engine_of(artifact)]
    arguments = (str(bundle.folder), artifact.name, module, str(threads))
    try:
        line, total = first_line("coldstart.py", *arguments)
    except TinysightError as error:
        raise BundleError(f"{bundle.name}: {error}") from None
    parts = json.loads(line)
    known = parts["import_ms"] + parts["load_ms"] + parts["first_answer_ms"]
    return ColdStart(process_ms=max(0.0, total - known), **parts)


def noise(bundle: Bundle, batch: int = 1) -> Pixels:
    """Seeded images to time a bundle's models on, uint8 (batch, height, width, 3).

    Not zeros: no kernel of ours is quicker on zeros, but an engine might come to be.
    """
    shape = (batch, bundle.height, bundle.width, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def golden_difference(bundle: Bundle, artifact: Artifact, engine: Engine) -> float | None:
    """How far this device's answers lie from the workstation's, relative to the logits' spread.

    None where the bundle keeps no golden answers for the artifact.
    """
    if artifact.golden is None:
        return None
    shape = (bundle.height, bundle.width)
    return golden.compare(engine.run, artifact.golden, shape, len(bundle.labels)).difference


def correct_answers(
    run: Callable[[Pixels], NDArray[np.float32]],
    batches: Iterable[tuple[Pixels, NDArray[np.int64]]],
) -> tuple[int, int]:
    """How many of the labelled images are answered rightly, and how many there are.

    Args:
        run: gives the logits, float32 (n, classes).
        batches: of uint8 (n, height, width, 3) images and int64 (n,) class indices.
    """
    correct = total = 0
    for images, targets in batches:
        correct += int((run(images).argmax(axis=1) == targets).sum())
        total += len(targets)
    return correct, total
