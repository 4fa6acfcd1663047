"""Results with medians and answers as a test wants them."""

import numpy as np

from benchmarks.sweep.result import Data, ModelVariant, Result
from tinysight.benchmark.results import Measurement
from tinysight.stats import Accuracy

DEVICE = {"system": "Linux", "cpu": "a CPU", "cores": 2, "features": ["avx2"]}


def make_result(
    medians, *, correct=None, passes=6, cpu="a CPU", measured="2026-01-01T00:00:00+00:00"
):
    """A result of entries `m/<name>@onnxruntime` with these medians in microseconds."""
    draw = np.random.default_rng(0)
    targets = draw.integers(0, 3, 200)
    variants, measurements = [], []
    for name, median in medians.items():
        answers = targets.copy()
        wrong = 200 - (correct or {}).get(name, 180)
        answers[:wrong] = (answers[:wrong] + 1) % 3
        accuracy = Accuracy(200 - wrong, 200)
        variants.append(ModelVariant("m", name, "onnxruntime", 1000, "0" * 64, accuracy, answers))
        samples = draw.normal(1000 * median, 10 * median, (passes, 50)).astype(np.int64)
        measurements.append(Measurement(variants[-1].key, 1, 1, tuple(samples)))
    return Result(
        measured,
        "python -m benchmarks sweep m",
        {**DEVICE, "cpu": cpu},
        {"numpy": "2"},
        {"passes": passes, "calls": 50 * passes, "seconds": 0.5},
        Data("made up", "f" * 16, ("</script>", "b&w", "c"), targets),
        tuple(variants),
        tuple(measurements),
    )
