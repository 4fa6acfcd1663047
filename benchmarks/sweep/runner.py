"""Models x recipes x engines x threads x batches, measured side by side."""

import contextlib
import importlib.metadata
import math
import pickle
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sweep import worker
from benchmarks.sweep.checkpoint import SweepCheckpoint
from benchmarks.sweep.predictions import answers, check
from benchmarks.sweep.result import Data, ModelVariant, Result
from benchmarks.sweep.targets import Target
from tinysight.benchmark.results import Measurement
from tinysight.device import info
from tinysight.errors import TinysightError
from tinysight.preprocess import Pixels
from tinysight.stats import Accuracy
from training.data import Dataset

PACKAGES = {"litert": "ai-edge-litert"}
"""Of the engines whose package has another name than they have."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a sweep measures."""

    threads: tuple[int, ...] = (1,)
    batches: tuple[int, ...] = (1,)
    calls: int = 3000
    """Timed calls of each cell, in all passes together, at most."""
    passes: int = 10
    """Fresh processes for each cell; six are the fewest that give an interval."""
    seconds: float = 0.5
    """For each cell in each pass, at most: a slow one is called less often."""
    spread: float = 0.0
    """Seconds over which the passes are strewn, at least. A machine keeps one state for some
    seconds (its neighbours, its clock): passes in quick succession share it, and their spread then
    says too little of what the next sweep will find."""

    def __post_init__(self) -> None:
        for name in ("threads", "batches"):
            values = getattr(self, name)
            if not values or min(values) < 1 or len(set(values)) != len(values):
                raise ValueError(f"{name} must be different numbers from 1")
        if self.passes < 1 or self.calls < self.passes or not self.seconds > 0:
            raise ValueError("a sweep needs a pass, a call in each, and time for it")
        if not 0 <= self.spread < math.inf:
            raise ValueError("the spread must be 0 seconds or more, and finite")


def sweep(
    sweep_targets: Sequence[Target],
    dataset: Dataset | None,
    settings: Settings,
    out: Path,
    *,
    command: str = "",
    layers: Mapping[str, Any] | None = None,
    progress: Progress = lambda what, done, total: None,  # noqa: ARG005
) -> Result:
    """Measures every entrant; goes on where an earlier call of the same sweep was stopped.

    Args:
        entrants: what to measure; their keys differ.
        dataset: whose test images to answer; None takes the accuracies that the bundles recorded.
        settings: how to measure.
        out: an existing folder, for the parts that are measured already.
        command: to be recorded.
        layers: to be recorded: time by layer, by model.
        progress: told how far it is.

    Raises:
        TinysightError: labels or an image size that are not the data's, no accuracy recorded and
            no data given, or an entrant that cannot be loaded.
    """
    for target in sweep_targets:
        if dataset is not None:
            check(target, dataset)
        elif target.recorded is None:
            raise TinysightError(f"{target.model} records no accuracy: give --data")
    versions = _versions({target.engine for target in sweep_targets})
    parts = SweepCheckpoint(out, _identity(sweep_targets, dataset, settings, versions))
    variants = _entries(sweep_targets, dataset, parts, progress)
    measurements = _cells(sweep_targets, dataset, settings, parts, progress)
    return Result(
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        device=info.describe(),
        versions=versions,
        settings=asdict(settings),
        data=None
        if dataset is None
        else Data(
            dataset.title,
            dataset.fingerprint,
            tuple(dataset.labels),
            np.asarray(dataset.targets[dataset.parts["test"]], dtype=np.int64),
        ),
        variants=tuple(variants),
        measurements=tuple(measurements),
        layers=layers or {},
    )


def _entries(
    sweep_targets: Sequence[Target],
    dataset: Dataset | None,
    parts: SweepCheckpoint,
    progress: Progress,
) -> list[ModelVariant]:
    """What each is worth."""
    variants = []
    for number, target in enumerate(sweep_targets):
        found, accuracy = None, target.recorded
        if dataset is not None:

            def told(done: int, total: int, number: int = number) -> None:
                progress(
                    "answering the test images", number * total + done, len(sweep_targets) * total
                )

            found = parts.array(f"answers-{number}", partial(answers, target, dataset, told))
            targets = dataset.targets[dataset.parts["test"]]
            accuracy = Accuracy(int((found == targets).sum()), len(found))
        variants.append(
            ModelVariant(
                target.model,
                target.recipe,
                target.engine,
                target.bytes,
                target.sha256,
                accuracy,
                found,
            )
        )
    return variants


def _cells(
    sweep_targets: Sequence[Target],
    dataset: Dataset | None,
    settings: Settings,
    parts: SweepCheckpoint,
    progress: Progress,
) -> list[Measurement]:
    """What each costs. Passes are the outer loop, so that each cell's lie far apart in time."""
    todo = [
        (number, threads, batch)
        for number in range(settings.passes)
        for threads in settings.threads
        for batch in settings.batches
    ]
    left = sorted({place[0] for place in todo if not parts.have(_part(*place))})
    offsets = _starts(len(left), settings.spread * len(left) / settings.passes)
    starts = {number: time.monotonic() + at for number, at in zip(left, offsets, strict=True)}
    for done, (number, threads, batch) in enumerate(todo):
        progress("timing, in turns", done, len(todo))
        name = _part(number, threads, batch)
        if not parts.have(name):
            time.sleep(max(0.0, starts[number] - time.monotonic()))
            job = worker.Job(
                {
                    e.key: worker.Measurement(e.open, _images(e, dataset, batch))
                    for e in sweep_targets
                },
                threads,
                calls=-(-settings.calls // settings.passes),
                seconds=settings.seconds,
            )
            _in_a_fresh_process(job, parts.path(name))
    by_part = {place: parts.get(_part(*place)) for place in todo}
    return [
        Measurement(
            target.key,
            threads,
            batch,
            tuple(by_part[n, threads, batch][target.key] for n in range(settings.passes)),
            tuple(
                int(np.median(by_part[n, threads, batch][worker.CLOCK_PROBE]))
                for n in range(settings.passes)
            ),
        )
        for target in sweep_targets
        for threads in settings.threads
        for batch in settings.batches
    ]


def _starts(passes: int, spread: float) -> list[float]:
    """Seconds from now at which each pass begins at the earliest: at once, then one in each slot.

    At random in its slot, so that what comes back at even intervals is not met, or missed, every
    time.
    """
    return [
        spread / passes * (number + random.random()) if number else 0 for number in range(passes)
    ]


def _part(number: int, threads: int, batch: int) -> str:
    return f"times-{number}-threads{threads}-batch{batch}"


def _in_a_fresh_process(job: worker.Job, out: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.sweep.worker", str(out)],
        input=pickle.dumps(job),
        stderr=subprocess.PIPE,
        check=False,
    )
    if child.returncode != 0:
        lines = child.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"it ended with {child.returncode}"
        raise TinysightError(f"a pass failed: {reason[-300:]}")


def _images(target: Target, dataset: Dataset | None, batch: int) -> Pixels:
    """Real test images where there are any, else seeded noise."""
    if dataset is not None:
        test = dataset.parts["test"]
        return np.array(dataset.images[np.resize(test[:batch], batch)])
    shape = (batch, *target.shape, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _identity(
    sweep_targets: Sequence[Target],
    dataset: Dataset | None,
    settings: Settings,
    versions: Mapping[str, str],
) -> dict[str, Any]:
    return {
        "entrants": [(target.key, target.sha256) for target in sweep_targets],
        "data": dataset and dataset.fingerprint,
        "settings": asdict(settings),
        "versions": dict(versions),
        "device": info.describe()["cpu"],
    }


def _versions(engines: set[str]) -> dict[str, str]:
    """Of numpy, and of the engines' packages as far as they are packages of Python."""
    found = {}
    for package in ("numpy", *sorted(PACKAGES.get(engine, engine) for engine in engines)):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found
