"""The result of a sweep: the parts that it shares with a benchmark of a device, and predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tinysight.benchmark.pareto import pareto_front
from tinysight.benchmark.results import BenchmarkResult, LatencyResult, Measurement
from tinysight.bundle import MAX_SIDE
from tinysight.records import JsonObject


@dataclass(frozen=True, slots=True)
class EvaluationData:
    """The test images that the accuracies are of."""

    title: str
    fingerprint: str
    """SHA-256 of the whole data set."""
    labels: tuple[str, ...]
    targets: NDArray[np.int64]
    """The class of every test image, int64 (n,), in the order of the test part."""
    shape: tuple[int, int]
    """Height and width of the images, in pixels: what to load them at."""

    def __post_init__(self) -> None:
        check_classes(self.targets, len(self.labels))
        if not all(0 < side <= MAX_SIDE for side in self.shape):
            raise ValueError(f"the images must be 1 to {MAX_SIDE} pixels high and wide")


@dataclass(frozen=True, slots=True)
class SweepResult(LatencyResult):
    """One sweep on one device."""

    data: EvaluationData | None
    """None where the accuracies are those that the bundles recorded."""
    predictions: Mapping[str, NDArray[np.int64]]
    """By variant, its class for every test image, int64 (n,); empty without data."""
    layers: Mapping[str, JsonObject] = field(default_factory=dict)
    """By model, what `python -m export explain --json` printed, for the report."""
    benchmark: BenchmarkResult | None = field(default=None, metadata={"json": False})
    """What a device measured with `tinysight bench`, where this is read from there."""

    def __post_init__(self) -> None:
        LatencyResult.__post_init__(self)
        expected = {variant.key for variant in self.variants} if self.data is not None else set()
        if set(self.predictions) != expected:
            raise ValueError(
                "predictions must be there for every variant, or without data for none"
            )
        for key, predicted in self.predictions.items():
            assert self.data is not None
            if predicted.shape != self.data.targets.shape:
                raise ValueError(f"{key} has not a prediction for every image")
            check_classes(predicted, len(self.data.labels))


def check_classes(classes: NDArray[np.int64], count: int) -> None:
    """Raises ValueError unless these are class indices, (n,) in [0, count)."""
    if classes.ndim != 1 or (classes.size and not 0 <= classes.min() <= classes.max() < count):
        raise ValueError(f"class indices must lie in [0, {count})")


def of_benchmark(benchmark: BenchmarkResult) -> SweepResult:
    """A device's own result as a sweep without data; the rest of it stays in `benchmark`."""
    return SweepResult(
        measured=benchmark.measured,
        command=benchmark.command,
        device=benchmark.device,
        versions=benchmark.versions,
        settings=benchmark.settings,
        variants=benchmark.variants,
        measurements=benchmark.measurements,
        data=None,
        predictions={},
        benchmark=benchmark,
    )


def has_accuracy(result: LatencyResult) -> bool:
    """Whether the accuracy of any variant is known, so that there is a Pareto front."""
    return any(variant.accuracy is not None for variant in result.variants)


def measurements_on_pareto_front(
    result: LatencyResult, measurements: Sequence[Measurement]
) -> list[Measurement]:
    """Those that no other one beats in both latency and accuracy, the fastest first.

    Variants of unknown accuracy are not among them.
    """
    accuracy = {v.key: v.accuracy.value for v in result.variants if v.accuracy is not None}
    return pareto_front(
        (measurement for measurement in measurements if measurement.variant in accuracy),
        lambda measurement: measurement.median_us,
        lambda measurement: accuracy[measurement.variant],
    )
