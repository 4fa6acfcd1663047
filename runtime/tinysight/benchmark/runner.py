"""Measures bundles on this device: what each artifact costs under each engine, and is worth."""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.benchmark.accuracy import correct_answers
from tinysight.benchmark.cold_start import ColdStart, cold_start
from tinysight.benchmark.isolated_process import run_isolated
from tinysight.benchmark.reference_ops import ONE_THREAD, Peak
from tinysight.benchmark.results import (
    BenchmarkResult,
    ColdStarts,
    Energy,
    IdentityLatency,
    Measurement,
    ModelVariant,
    PreprocessingCost,
)
from tinysight.benchmark.timing import Latency
from tinysight.bundle import Artifact, Bundle
from tinysight.device import info
from tinysight.device.state import MachineState, measurement_warnings
from tinysight.engines.registry import PACKAGES, engine_of, open_engine, runnable
from tinysight.errors import TinysightError
from tinysight.image_files import labelled_batches
from tinysight.stats import Accuracy

SPREAD = 0.1
"""Between the passes' medians of one cell, as a part of the median; beyond that it is said."""
PEAK_DROP = 0.9
"""Of the arithmetic's rate, from the first pass to the last."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a bench measures."""

    threads: tuple[int, ...] = (1,)
    batches: tuple[int, ...] = (1,)
    calls: int = 2000
    """Timed calls of each cell, in all passes together, at most."""
    passes: int = 6
    """Fresh processes, and cold starts; six are the fewest that give an interval."""
    seconds: float = 0.5
    """For each cell in each pass, at most: a slow one is called less often."""

    def __post_init__(self) -> None:
        for name in ("threads", "batches"):
            values = getattr(self, name)
            if not values or min(values) < 1 or len(set(values)) != len(values):
                raise ValueError(f"{name} must be different numbers from 1")
        if 1 not in self.batches:
            raise ValueError("batches must have 1 among them: that is the latency")
        if self.passes < 1 or self.calls < 1 or not self.seconds > 0:
            raise ValueError("a bench needs a pass, a call, and time for it")


def bench(
    bundles: Sequence[Bundle],
    settings: Settings,
    data: Path | None = None,
    *,
    command: str = "",
    progress: Progress = lambda what, done, total: None,  # noqa: ARG005
) -> BenchmarkResult:
    """Measures every artifact that an installed engine runs.

    Args:
        bundles: of different names.
        settings: how to measure.
        data: labelled images, to measure the accuracy; None takes what the bundles recorded.
        command: to be recorded.
        progress: told how far it is.

    Raises:
        TinysightError: two bundles of one name, images that are not the bundles', or an artifact
            that cannot be loaded.
    """
    names = [bundle.name for bundle in bundles]
    if len(set(names)) != len(names):
        raise TinysightError("two bundles have one name")
    pairs = [(bundle, artifact) for bundle in bundles for artifact in runnable(bundle)]
    # First, since a wrong folder is told before the long measurement.
    variants = tuple(_entry(*pair, data, progress) for pair in pairs)
    before = MachineState.now()
    passes, starts = _passes(bundles, pairs, settings, progress)
    after = MachineState.now()
    measurements = _cells(variants, passes)
    peaks = [Peak(**one["peak"]) for one in passes]
    energy = passes[-1]["energy"]
    return BenchmarkResult(
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        device=info.describe(),
        versions=_versions(),
        settings=asdict(settings),
        before=before.as_json(),
        after=after.as_json(),
        warnings=(*measurement_warnings(before, after), *_doubts(measurements, peaks)),
        peak=max(peaks, key=lambda peak: peak.macs_per_us),
        identity_latencies=tuple(
            IdentityLatency(threads, tuple(_samples(one["floors"][place]["ns"]) for one in passes))
            for place, threads in enumerate(settings.threads)
        ),
        variants=variants,
        measurements=measurements,
        starts=tuple(
            ColdStarts(variants[number].key, threads, tuple(runs))
            for (number, threads), runs in starts.items()
        ),
        preprocessing=tuple(
            PreprocessingCost(
                name,
                *(
                    Latency(np.concatenate([_samples(p["preprocessing"][i][part]) for p in passes]))
                    for part in ("decode", "resize")
                ),
            )
            for i, name in enumerate(names)
        ),
        counter=energy["counter"],
        idle_watts=energy["idle_watts"],
        energies=tuple(
            Energy(variants[one["number"]].key, one["threads"], one["joules"], one["calls"])
            for one in energy["cells"]
        ),
    )


def _entry(
    bundle: Bundle, artifact: Artifact, data: Path | None, progress: Progress
) -> ModelVariant:
    macs = bundle.training.get("macs")  # whatever that is: nothing has checked it
    accuracy, source = None, None
    if data is not None:
        progress(f"answering with {artifact.name}", 0, 0)
        run = open_engine(bundle, artifact, info.cores()).run
        accuracy = Accuracy(*correct_answers(run, labelled_batches(data, bundle)))
        source = "measured here"
    elif artifact.accuracy is not None:
        accuracy = Accuracy(artifact.accuracy["correct"], artifact.accuracy["n"])
        source = "recorded by the bundle"
    return ModelVariant(
        model=bundle.name,
        recipe=artifact.recipe,
        artifact=artifact.name,
        engine=engine_of(artifact),
        bytes=artifact.bytes,
        sha256=artifact.sha256,
        macs=macs if isinstance(macs, int) and macs > 0 else None,
        accuracy=accuracy,
        accuracy_from=source,  # type: ignore[arg-type]  # a literal, in both branches
    )


def _passes(
    bundles: Sequence[Bundle],
    pairs: Sequence[tuple[Bundle, Artifact]],
    settings: Settings,
    progress: Progress,
) -> tuple[list[dict[str, Any]], Mapping[tuple[int, int], list[ColdStart]]]:
    """What the passes measured, and by number of entry and of threads the cold starts."""
    place = {bundle.name: number for number, bundle in enumerate(bundles)}
    job = {
        "folders": [str(bundle.folder) for bundle in bundles],
        "entries": [(place[bundle.name], artifact.name) for bundle, artifact in pairs],
        "threads": settings.threads,
        "batches": settings.batches,
        "calls": -(-settings.calls // settings.passes),
        "seconds": settings.seconds,
    }
    passes = []
    starts: dict[tuple[int, int], list[ColdStart]] = {
        (number, threads): [] for number in range(len(pairs)) for threads in settings.threads
    }
    steps, done = settings.passes * (1 + len(starts)), 0
    for number in range(settings.passes):
        progress("timing, in turns", done, steps)
        last = number == settings.passes - 1
        line, _ = run_isolated("worker.py", json.dumps({**job, "energy": last}), **ONE_THREAD)
        passes.append(json.loads(line))
        done += 1
        # Cold starts between the passes: so that these lie further apart in time.
        for (variant, threads), runs in starts.items():
            progress("starting from cold", done, steps)
            runs.append(cold_start(*pairs[variant], threads))
            done += 1
    return passes, starts


def _cells(
    variants: Sequence[ModelVariant], passes: Sequence[Mapping[str, Any]]
) -> tuple[Measurement, ...]:
    """Every pass measured the same cells in the same order."""
    return tuple(
        Measurement(
            variants[first["number"]].key,
            first["threads"],
            first["batch"],
            tuple(_samples(one["cells"][place]["ns"]) for one in passes),
            tuple(one["cells"][place]["clock_probe"] for one in passes),
        )
        for place, first in enumerate(passes[0]["cells"])
    )


def _doubts(measurements: Sequence[Measurement], peaks: Sequence[Peak]) -> list[str]:
    """What the measurements themselves say about how quiet the machine was."""
    found = []
    spreads = [
        float(np.ptp(measurement.pass_medians)) / measurement.median
        for measurement in _few(measurements)
    ]
    wide = [spread for spread in spreads if spread > SPREAD]
    if wide:
        found.append(
            f"unsteady: in {len(wide)} of {len(spreads)} cells on one thread the passes differ by "
            f"more than {SPREAD:.0%}, by up to {max(wide):.0%}"
        )
    if peaks[-1].macs_per_us < PEAK_DROP * peaks[0].macs_per_us:
        part = 1 - peaks[-1].macs_per_us / peaks[0].macs_per_us
        found.append(
            f"slower: the core computed {part:.0%} less in the last pass than in the first"
        )
    most = max(peak.cores for peak in peaks)
    if most > 1.2:
        found.append(f"matrix products used {most:.1f} cores: the arithmetic floor is of as many")
    return found


def _few(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Those on the fewest threads: with more, the system's scheduler joins in."""
    fewest = min(measurement.threads for measurement in measurements)
    return [measurement for measurement in measurements if measurement.threads == fewest]


def _samples(values: Sequence[int]) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def _versions() -> dict[str, str]:
    found = {}
    for package in ("tinysight", "numpy", "pillow", *PACKAGES.values()):
        with contextlib.suppress(PackageNotFoundError):  # an engine that is not here
            found[package] = version(package)
    return found
