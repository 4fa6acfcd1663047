"""Measures the artifacts of bundles on this device: latencies, cold starts, energy, accuracy.

`variant_of`, `run_process`, `combine`, `start_offsets` and `wait_until` also serve the sweep of
`benchmarks`.
"""

import pickle
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from tinysight.benchmark.accuracy import correct_answers
from tinysight.benchmark.cold_start import ColdStart, cold_start
from tinysight.benchmark.isolated_process import run_isolated
from tinysight.benchmark.reference_ops import ONE_THREAD, Float32Peak
from tinysight.benchmark.results import (
    BenchmarkResult,
    BenchmarkSettings,
    ColdStarts,
    EnergyRecord,
    IdentityLatency,
    Measurement,
    ModelVariant,
    PreprocessingCost,
)
from tinysight.benchmark.timing import Latency, random_images
from tinysight.benchmark.worker import Job, ProcessResult, TimedModel, open_artifact
from tinysight.bundle import Artifact, Bundle
from tinysight.device import info
from tinysight.device.state import MachineState, measurement_warnings
from tinysight.device.versions import package_versions
from tinysight.engines.registry import ENGINES, engine_of, open_engine, runnable
from tinysight.errors import TinysightError
from tinysight.image_files import labelled_batches
from tinysight.provenance import read_provenance
from tinysight.records import from_json, parse_json
from tinysight.stats import Accuracy

PROCESS_SPREAD = 0.1
"""Of the processes' medians of one measurement, relative to it; above it there is a warning."""
PEAK_DROP = 0.9
"""Of the float32 peak, from the first process to the last: below it there is a warning."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_WORKER = Path(__file__).with_name("worker.py")


def bench(
    bundles: Sequence[Bundle],
    settings: BenchmarkSettings,
    data: Path | None = None,
    *,
    command: str = "",
    progress: Progress = lambda what, done, total: None,  # noqa: ARG005
) -> BenchmarkResult:
    """Measures every artifact that an installed engine runs.

    Args:
        bundles: of different names.
        settings: how to measure; its batches include 1.
        data: labelled images, to measure the accuracy; None takes what the bundles recorded.
        command: to be recorded.
        progress: called with how far it is.

    Raises:
        TinysightError: two bundles of one name, images that are not the bundles', or an artifact
            that cannot be loaded.
        ValueError: no batch of 1.
    """
    if 1 not in settings.batches:
        raise ValueError("batches must include 1: that is the latency")
    names = [bundle.name for bundle in bundles]
    if len(set(names)) != len(names):
        raise TinysightError("two bundles have one name")
    pairs = [(bundle, artifact) for bundle in bundles for artifact in runnable(bundle)]
    # First, since a wrong folder is reported before the long measurement.
    variants = tuple(_measure_accuracy(*pair, data, progress) for pair in pairs)
    before = MachineState.now()
    measured = _run_processes(bundles, pairs, variants, settings, progress)
    after = MachineState.now()
    measurements = combine(measured.processes)
    peaks = [one.float32_peak for one in measured.processes if one.float32_peak is not None]
    return BenchmarkResult(
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        device=info.describe(),
        versions=package_versions(
            ("tinysight", "numpy", "pillow", *(spec.package for spec in ENGINES.values()))
        ),
        settings=settings,
        variants=variants,
        measurements=measurements,
        before=before,
        after=after,
        warnings=(
            *measurement_warnings(before, after),
            *steadiness_warnings(measurements, peaks),
        ),
        float32_peak=max(peaks, key=lambda peak: peak.macs_per_us),
        identity_latencies=_identity_latencies(measured.processes),
        cold_starts=tuple(
            ColdStarts(key, threads, tuple(runs))
            for (key, threads), runs in measured.cold_starts.items()
        ),
        preprocessing=_preprocessing(names, measured.processes),
        energy=measured.processes[-1].energy or EnergyRecord("not read", None, ()),
    )


def variant_of(bundle: Bundle, artifact: Artifact) -> ModelVariant:
    """An artifact under its engine, with the accuracy that the bundle recorded.

    Raises BundleError where the bundle's provenance.json is damaged.
    """
    provenance = read_provenance(bundle)
    return ModelVariant(
        model=bundle.name,
        recipe=artifact.recipe,
        artifact=artifact.name,
        engine=engine_of(artifact),
        bytes=artifact.bytes,
        sha256=artifact.sha256,
        macs=None if provenance is None else provenance.training.macs,
        accuracy=artifact.accuracy,
        accuracy_source=None if artifact.accuracy is None else "recorded",
        microcontroller=artifact.microcontroller,
    )


def run_process(
    job: Job, *, import_roots: Sequence[Path] = (), environment: Mapping[str, str] | None = None
) -> ProcessResult:
    """Does a job in a process of its own: see `run_isolated`. Raises TinysightError."""
    line, _ = run_isolated(
        _WORKER,
        stdin=pickle.dumps(job),
        import_roots=import_roots,
        environment=environment,
    )
    return from_json(ProcessResult, parse_json(line.encode()))


def combine(processes: Sequence[ProcessResult]) -> tuple[Measurement, ...]:
    """The measurements of processes that all did the same job."""
    return tuple(
        Measurement(
            same[0].variant,
            same[0].threads,
            same[0].batch,
            tuple(timing.samples_ns for timing in same),
            tuple(timing.clock_probe_ns for timing in same),
        )
        for same in zip(*(one.timings for one in processes), strict=True)
    )


def start_offsets(processes: int, min_duration: float) -> list[float]:
    """Seconds from now when each process starts at the earliest: at once, then one in each slot.

    At random in its slot, so that what comes back at even intervals is not met, or missed, every
    time.
    """
    slot = min_duration / max(processes, 1)
    return [slot * (number + random.random()) if number else 0.0 for number in range(processes)]


def wait_until(moment: float) -> None:
    """Sleeps until that moment of `time.monotonic`, unless it has passed."""
    time.sleep(max(0.0, moment - time.monotonic()))


def steadiness_warnings(
    measurements: Sequence[Measurement], peaks: Sequence[Float32Peak]
) -> list[str]:
    """What the measurements themselves say about how quiet the machine was, a sentence each.

    Args:
        measurements: all.
        peaks: the float32 peak that each process measured.
    """
    found = []
    # On the fewest threads alone: with more, the system's scheduler adds its own spread.
    fewest = min(measurement.threads for measurement in measurements)
    spreads = [
        float(np.ptp(measurement.process_medians_us)) / measurement.median_us
        for measurement in measurements
        if measurement.threads == fewest
    ]
    wide = [spread for spread in spreads if spread > PROCESS_SPREAD]
    if wide:
        found.append(
            f"unsteady: in {len(wide)} of {len(spreads)} measurements on the fewest threads the "
            f"processes differ by more than {PROCESS_SPREAD:.0%}, by up to {max(wide):.0%}"
        )
    if peaks[-1].macs_per_us < PEAK_DROP * peaks[0].macs_per_us:
        drop = 1 - peaks[-1].macs_per_us / peaks[0].macs_per_us
        found.append(f"slower: the float32 peak fell by {drop:.0%} from first to last process")
    most = max(peak.cores for peak in peaks)
    if most > 1.2:
        found.append(f"matrix products used {most:.1f} cores: the float32 peak is of as many")
    return found


def _measure_accuracy(
    bundle: Bundle, artifact: Artifact, data: Path | None, progress: Progress
) -> ModelVariant:
    """The variant with the accuracy on `data`, or else with the one that was recorded."""
    variant = variant_of(bundle, artifact)
    if data is None:
        return variant
    progress(f"measuring the accuracy of {artifact.name}", 0, 0)
    run = open_engine(bundle, artifact, info.cores()).run
    accuracy = Accuracy(*correct_answers(run, labelled_batches(data, bundle)))
    return replace(variant, accuracy=accuracy, accuracy_source="measured")


@dataclass(frozen=True, slots=True)
class _Measured:
    """What the processes measured, and the cold starts by variant and number of threads."""

    processes: tuple[ProcessResult, ...]
    cold_starts: Mapping[tuple[str, int], list[ColdStart]]


def _run_processes(
    bundles: Sequence[Bundle],
    pairs: Sequence[tuple[Bundle, Artifact]],
    variants: Sequence[ModelVariant],
    settings: BenchmarkSettings,
    progress: Progress,
) -> _Measured:
    by_key = {variant.key: pair for variant, pair in zip(variants, pairs, strict=True)}
    models = {
        key: TimedModel(
            partial(open_artifact, str(bundle.folder), artifact.name),
            {batch: random_images(bundle, batch) for batch in settings.batches},
        )
        for key, (bundle, artifact) in by_key.items()
    }
    cold_starts: dict[tuple[str, int], list[ColdStart]] = {
        (key, threads): [] for key in by_key for threads in settings.threads
    }
    steps, done = settings.processes * (1 + len(cold_starts)), 0
    processes = []
    now = time.monotonic()
    for number, offset in enumerate(start_offsets(settings.processes, settings.min_duration)):
        progress("timing, interleaved", done, steps)
        wait_until(now + offset)
        job = Job(
            models,
            settings.threads,
            settings.batches,
            settings.runs_per_process,
            settings.seconds,
            references=True,
            preprocessing=tuple(str(bundle.folder) for bundle in bundles),
            energy=number == settings.processes - 1,
        )
        processes.append(run_process(job, environment=ONE_THREAD))
        done += 1
        # Cold starts between the processes: so that these lie further apart in time.
        for (key, threads), runs in cold_starts.items():
            progress("measuring cold starts", done, steps)
            runs.append(cold_start(*by_key[key], threads))
            done += 1
    return _Measured(tuple(processes), cold_starts)


def _identity_latencies(processes: Sequence[ProcessResult]) -> tuple[IdentityLatency, ...]:
    return tuple(
        IdentityLatency(same[0].threads, tuple(timing.samples_ns for timing in same))
        for same in zip(*(one.identity for one in processes), strict=True)
    )


def _preprocessing(
    names: Sequence[str], processes: Sequence[ProcessResult]
) -> tuple[PreprocessingCost, ...]:
    return tuple(
        PreprocessingCost(
            name,
            Latency(np.concatenate([timing.decode_ns for timing in same])),
            Latency(np.concatenate([timing.resize_ns for timing in same])),
        )
        for name, same in zip(
            names, zip(*(one.preprocessing for one in processes), strict=True), strict=True
        )
    )
