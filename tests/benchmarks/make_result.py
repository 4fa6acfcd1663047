"""Results with medians and predictions as a test wants them."""

from collections.abc import Mapping

import numpy as np

from benchmarks.sweep.result import EvaluationData, SweepResult
from tinysight.benchmark.results import BenchmarkSettings, Measurement, ModelVariant
from tinysight.device.info import DeviceInfo
from tinysight.stats import Accuracy

IMAGES = 200


def make_result(
    medians: Mapping[str, float],
    *,
    correct: Mapping[str, int] | None = None,
    processes: int = 6,
    cpu: str = "a CPU",
    measured: str = "2026-01-01T00:00:00+00:00",
) -> SweepResult:
    """A result of variants `m/<name>@onnxruntime` with these medians in microseconds.

    Args:
        medians: by name, or by `<model>/<name>`.
        correct: by name, how many of the 200 images are predicted correctly (default: 180); the
            wrong ones come first.
        processes: each with 50 samples.
        cpu: the device's.
        measured: when.
    """
    draw = np.random.default_rng(0)
    targets = draw.integers(0, 3, IMAGES)
    variants, measurements, predictions = [], [], {}
    for name, median in medians.items():
        predicted = targets.copy()
        wrong = IMAGES - (correct or {}).get(name, 180)
        predicted[:wrong] = (predicted[:wrong] + 1) % 3
        model, _, recipe = name.rpartition("/")
        variant = ModelVariant(
            model=model or "m",
            recipe=recipe,
            artifact=recipe,
            engine="onnxruntime",
            bytes=1000,
            sha256="0" * 64,
            macs=None,
            accuracy=Accuracy(IMAGES - wrong, IMAGES),
            accuracy_source="measured",
        )
        samples = draw.normal(1000 * median, 10 * median, (processes, 50)).astype(np.int64)
        variants.append(variant)
        predictions[variant.key] = predicted
        measurements.append(Measurement(variant.key, 1, 1, tuple(samples), (9000,) * processes))
    return SweepResult(
        measured=measured,
        command="python -m benchmarks sweep m",
        device=DeviceInfo("Linux", cpu, 2, ("avx2",), None, None, "3.11.0"),
        versions={"numpy": "2"},
        settings=BenchmarkSettings(processes=processes, runs=50 * processes),
        variants=tuple(variants),
        measurements=tuple(measurements),
        data=EvaluationData(
            "made by a test", "f" * 16, ("</script>", "b&w", "c"), targets, (32, 32)
        ),
        predictions=predictions,
    )
