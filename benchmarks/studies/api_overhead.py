"""What `Classifier.classify` adds to the engine's own call."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinysight import Bundle, Classifier
from tinysight.benchmark.timing import time_interleaved
from tinysight.bundle import load_bundle
from tinysight.engines.ort import make_session
from tinysight.engines.registry import read_model
from tinysight.preprocess import Pixels

MAX_SECONDS = 10.0
"""For each of the two."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """Medians in microseconds, at batch 1 on one thread."""

    session_run_us: float
    """onnxruntime's `InferenceSession.run` alone."""
    classify_us: float
    """`Classifier.classify(array)`."""
    overhead_us: float
    """Of the differences between each pair of calls from the same round."""
    runs: int
    """Timed calls of each."""


def measure_overhead(bundle: Path | None, runs: int) -> Overhead:
    """Times both, interleaved.

    Args:
        bundle: its folder, or the name of one in the wheel; None is the wheel's default.
        runs: timed calls of each, at most.
    """
    description = load_bundle(bundle)
    classifier = Classifier.load(bundle, artifact=description.default)
    shape = (*description.shape, 3)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    times = time_interleaved(
        {
            "run": _session_run(description, image),
            "classify": lambda: classifier.classify(image),
        },
        runs,
        MAX_SECONDS,
    )
    pairs = min(samples.size for samples in times.values())
    run, classify = times["run"][:pairs], times["classify"][:pairs]
    return Overhead(
        session_run_us=float(np.median(run)) / 1e3,
        classify_us=float(np.median(classify)) / 1e3,
        overhead_us=float(np.median(classify - run)) / 1e3,
        runs=pairs,
    )


def _session_run(bundle: Bundle, image: Pixels) -> Callable[[], object]:
    """A call of onnxruntime and nothing else, on one image (height, width, 3)."""
    session = make_session(read_model(bundle, bundle.artifact()))
    outputs = [session.get_outputs()[0].name]
    inputs = {session.get_inputs()[0].name: image[None]}
    return lambda: session.run(outputs, inputs)
