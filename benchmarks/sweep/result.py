"""A result: what was measured, on what, and every sample of it.

A sweep's, or a device's own from `tinysight bench`, which has no answers to single images.

A sweep's file is gzip-compressed JSON whose shape `schema/sweep-2.json` publishes; it is checked
against that whenever it is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.benchmark.results import BenchmarkResult, Measurement
from tinysight.stats import Accuracy

FORMAT = 2
"""Format 1 was an uncompressed file of batch 1 alone, without the answers."""


@dataclass(frozen=True, slots=True)
class Data:
    """The images that were answered."""

    title: str
    fingerprint: str
    labels: tuple[str, ...]
    targets: NDArray[np.int64]
    """The class of every test image, int64 (n,), in the order of the test part."""


@dataclass(frozen=True, slots=True)
class ModelVariant:
    """One model file under one engine: what it is worth."""

    model: str
    recipe: str
    engine: str
    bytes: int
    sha256: str
    accuracy: Accuracy | None
    answers: NDArray[np.int64] | None
    """Its class for every test image, int64 (n,); None where no images were given."""

    @property
    def key(self) -> str:
        return f"{self.model}/{self.recipe}@{self.engine}"


@dataclass(frozen=True, slots=True)
class Result:
    """One sweep on one device."""

    measured: str
    """When it was done, ISO 8601 in UTC."""
    command: str
    """What to type to measure it again."""
    device: Mapping[str, Any]
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
    data: Data | None
    variants: tuple[ModelVariant, ...]
    measurements: tuple[Measurement, ...]
    layers: Mapping[str, Any] = field(default_factory=dict)
    """Time by layer, where `python -m export explain --json` was given: by model."""
    bench: BenchmarkResult | None = None
    """The whole of what a device measured with `tinysight bench`, where this comes from there."""

    def __post_init__(self) -> None:
        keys = {variant.key for variant in self.variants}
        places = [measurement.place for measurement in self.measurements]
        if len(keys) != len(self.variants) or len(set(places)) != len(places):
            raise ValueError("an entry or a cell is there twice")
        if {measurement.variant for measurement in self.measurements} != keys:
            raise ValueError("cells and entries do not belong together")
        for variant in self.variants:
            if variant.answers is not None and (
                self.data is None or variant.answers.shape != self.data.targets.shape
            ):
                raise ValueError(f"{variant.key} has not an answer for every image")

    def variant(self, key: str) -> ModelVariant:
        return next(variant for variant in self.variants if variant.key == key)

    def at(self, threads: int, batch: int) -> list[Measurement]:
        """The cells of that many threads and images, the quickest first."""
        chosen = [
            measurement
            for measurement in self.measurements
            if (measurement.threads, measurement.batch) == (threads, batch)
        ]
        return sorted(chosen, key=lambda measurement: measurement.median)

    @property
    def base(self) -> list[Measurement]:
        """The cells that latencies are quoted from: fewest threads, smallest batch."""
        return self.at(
            min(measurement.threads for measurement in self.measurements),
            min(measurement.batch for measurement in self.measurements),
        )


def rated(result: Result) -> bool:
    """Whether the accuracy of anything is known, so that there is a front to draw."""
    return any(variant.accuracy is not None for variant in result.variants)


def front(result: Result, measurements: Sequence[Measurement]) -> list[Measurement]:
    """Those that nothing else beats in both latency and accuracy, the quickest first."""
    kept: list[Measurement] = []
    best = -1.0
    worth = {e.key: e.accuracy.value for e in result.variants if e.accuracy is not None}
    rated = [measurement for measurement in measurements if measurement.variant in worth]
    for measurement in sorted(
        rated, key=lambda measurement: (measurement.median, -worth[measurement.variant])
    ):
        if worth[measurement.variant] > best:
            kept.append(measurement)
            best = worth[measurement.variant]
    return kept
