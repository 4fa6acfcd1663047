"""What `Classifier.classify` adds to the engine's own call."""

import json
from pathlib import Path

import numpy as np

from tinysight import Classifier
from tinysight.benchmark.timing import Latency, time_interleaved
from tinysight.bundle import load_bundle
from tinysight.engines.ort import OnnxRuntimeEngine

SECONDS = 10.0
"""For each of the two, at most."""


def overhead(bundle: Path | None, samples: int) -> dict[str, float]:
    """Medians in microseconds, taken in turns: onnxruntime's `run` alone, and `classify(array)`.

    The difference is that of the pairs, each call against that of the same burst.
    """
    description = load_bundle(bundle)
    session = OnnxRuntimeEngine.open(description, description.artifact()).onnx
    classifier = Classifier.load(bundle)
    image = np.random.default_rng(0).integers(
        0, 256, (description.height, description.width, 3), dtype=np.uint8
    )
    names = [session.get_outputs()[0].name]
    feed = {session.get_inputs()[0].name: image[None]}
    times = time_interleaved(
        {"run": lambda: session.run(names, feed), "classify": lambda: classifier.classify(image)},
        samples,
        SECONDS,
    )
    taken = {name: Latency(values) for name, values in times.items()}
    paired = min(latency.samples.size for latency in taken.values())
    pairs = taken["classify"].samples[:paired] - taken["run"].samples[:paired]
    return {
        "session_run_us": taken["run"].median,
        "classify_us": taken["classify"].median,
        "overhead_us": float(np.median(pairs)) / 1e3,
        "samples": paired,
    }


def report(bundle: Path | None, samples: int, as_json: bool) -> int:
    figures = overhead(bundle, samples)
    if as_json:
        print(json.dumps(figures))
        return 0
    print(f"session.run      {figures['session_run_us']:7.1f} us (median of {samples:,})")
    print(f"classify(array)  {figures['classify_us']:7.1f} us")
    print(f"difference       {figures['overhead_us']:7.1f} us (median of the pairs)")
    return 0
