"""Measures models x recipes x engines x threads x batches, interleaved on one machine."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.sweep.checkpoint import SweepCheckpoint
from benchmarks.sweep.predictions import predict, require_fitting
from benchmarks.sweep.result import EvaluationData, SweepResult
from benchmarks.sweep.targets import Target
from tinysight.benchmark.results import BenchmarkSettings, Measurement, ModelVariant
from tinysight.benchmark.runner import Progress, combine, run_process, start_offsets, wait_until
from tinysight.benchmark.worker import Job, ProcessResult, TimedModel
from tinysight.device import info
from tinysight.device.versions import package_versions
from tinysight.engines.registry import ENGINES
from tinysight.errors import TinysightError
from tinysight.preprocess import Pixels
from tinysight.records import JsonObject, to_json
from tinysight.stats import Accuracy
from training.data import Dataset

_IMPORT_ROOT = Path(__file__).parents[2]
"""Of this package, which is run from a checkout."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """A variant's class for every test image, int64 (n,)."""

    classes: NDArray[np.int64]


def sweep(
    targets: Sequence[Target],
    dataset: Dataset | None,
    settings: BenchmarkSettings,
    out: Path,
    *,
    command: str = "",
    layers: Mapping[str, JsonObject] | None = None,
    progress: Progress = lambda what, done, total: None,  # noqa: ARG005
) -> SweepResult:
    """Measures every target; resumes where an earlier call of the same sweep was stopped.

    Args:
        targets: what to measure; their keys differ.
        dataset: whose test images to predict; None takes the accuracies that the bundles recorded.
        settings: how to measure.
        out: an existing folder, for what is measured already.
        command: to be recorded.
        layers: to be recorded: what `export explain` printed, by model.
        progress: called with how far it is.

    Raises:
        TinysightError: labels or an image size that are not the data's, no accuracy recorded and
            no data given, or a target that cannot be loaded.
    """
    for target in targets:
        if dataset is not None:
            require_fitting(target, dataset)
        elif target.variant.accuracy is None:
            raise TinysightError(f"{target.variant.model} records no accuracy: give --data")
    versions = _versions(targets)
    checkpoint = SweepCheckpoint(out, _identity(targets, dataset, settings, versions))
    predictions = _predict(targets, dataset, checkpoint, progress)
    measurements = _measure(targets, dataset, settings, checkpoint, progress)
    return SweepResult(
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        device=info.describe(),
        versions=versions,
        settings=settings,
        variants=tuple(_variant(target, dataset, predictions) for target in targets),
        measurements=tuple(measurements),
        data=None
        if dataset is None
        else EvaluationData(
            dataset.title,
            dataset.fingerprint,
            tuple(dataset.labels),
            _test_targets(dataset),
            targets[0].shape,  # which is the images': `require_fitting`
        ),
        predictions=predictions,
        layers=layers or {},
    )


def _predict(
    targets: Sequence[Target],
    dataset: Dataset | None,
    checkpoint: SweepCheckpoint,
    progress: Progress,
) -> dict[str, NDArray[np.int64]]:
    found: dict[str, NDArray[np.int64]] = {}
    if dataset is None:
        return found
    for number, target in enumerate(targets):
        report = partial(_report_prediction, progress, number, len(targets))
        make = partial(_predict_one, target, dataset, report)
        name = f"predictions-{number}"
        found[target.key] = checkpoint.load_or_make(name, Predictions, make).classes
    return found


def _predict_one(
    target: Target, dataset: Dataset, report: Callable[[int, int], None]
) -> Predictions:
    return Predictions(predict(target, dataset, report))


def _report_prediction(progress: Progress, number: int, count: int, done: int, total: int) -> None:
    """Of the images of target `number` among `count`."""
    progress("predicting the test images", number * total + done, count * total)


def _variant(
    target: Target, dataset: Dataset | None, predictions: Mapping[str, NDArray[np.int64]]
) -> ModelVariant:
    if dataset is None:
        return target.variant
    correct = predictions[target.key] == _test_targets(dataset)
    accuracy = Accuracy(int(correct.sum()), len(correct))
    return replace(target.variant, accuracy=accuracy, accuracy_source="measured")


def _measure(
    targets: Sequence[Target],
    dataset: Dataset | None,
    settings: BenchmarkSettings,
    checkpoint: SweepCheckpoint,
    progress: Progress,
) -> list[Measurement]:
    """Processes are the outer loop, so that those of one measurement lie far apart in time."""
    places = [(threads, batch) for threads in settings.threads for batch in settings.batches]
    numbers = range(settings.processes)
    left = [n for n in numbers if not all(checkpoint.has(_name(n, *place)) for place in places)]
    offsets = start_offsets(len(left), settings.min_duration * len(left) / settings.processes)
    now = time.monotonic()
    starts = {number: now + offset for number, offset in zip(left, offsets, strict=True)}
    jobs = {
        (threads, batch): Job(
            {t.key: TimedModel(t.open, {batch: _images(t, dataset, batch)}) for t in targets},
            (threads,),
            (batch,),
            settings.runs_per_process,
            settings.seconds,
        )
        for threads, batch in places
    }
    results: dict[tuple[int, int], list[ProcessResult]] = {place: [] for place in places}
    for number in numbers:
        for step, place in enumerate(places):
            done = number * len(places) + step
            progress("timing, interleaved", done, settings.processes * len(places))
            name = _name(number, *place)
            if not checkpoint.has(name):
                wait_until(starts[number])
            make = partial(run_process, jobs[place], import_roots=[_IMPORT_ROOT])
            results[place].append(checkpoint.load_or_make(name, ProcessResult, make))
    return [measurement for place in places for measurement in combine(results[place])]


def _name(number: int, threads: int, batch: int) -> str:
    return f"process-{number}-threads{threads}-batch{batch}"


def _images(target: Target, dataset: Dataset | None, batch: int) -> Pixels:
    """Real test images where there are any, else seeded random ones."""
    if dataset is not None:
        test = dataset.parts["test"]
        return np.array(dataset.images[np.resize(test[:batch], batch)])
    shape = (batch, *target.shape, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _test_targets(dataset: Dataset) -> NDArray[np.int64]:
    return np.asarray(dataset.targets[dataset.parts["test"]], dtype=np.int64)


def _identity(
    targets: Sequence[Target],
    dataset: Dataset | None,
    settings: BenchmarkSettings,
    versions: Mapping[str, str],
) -> JsonObject:
    return {
        "targets": [(target.key, target.variant.sha256) for target in targets],
        "data": dataset and dataset.fingerprint,
        "settings": to_json(settings),
        "versions": dict(versions),
        "cpu": info.describe().cpu,
    }


def _versions(targets: Sequence[Target]) -> dict[str, str]:
    """Of numpy, and of the engines' packages as far as they are packages of Python."""
    engines = sorted({target.variant.engine for target in targets})
    # The packages of other toolchains are called as their engines are.
    packages = [ENGINES[name].package if name in ENGINES else name for name in engines]
    return package_versions(("tinysight", "numpy", *packages))
