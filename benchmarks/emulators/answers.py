"""Every artifact on every emulated CPU, against what this workstation answers."""

import json
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.emulators.cpus import (
    EmulatedCpu,
    EmulatorError,
    environment,
    missing,
    python_command,
    qemu_version,
)
from benchmarks.emulators.records import (
    FORMAT,
    Cell,
    Disagreement,
    EmulatorsResult,
    ImageCheck,
)
from tinysight import __version__
from tinysight.bundle import Artifact, Bundle
from tinysight.device.info import cores, describe
from tinysight.engines.registry import engine_of, open_engine, runnable
from tinysight.errors import MissingExtraError
from tinysight.integrity.golden import Comparison
from tinysight.preprocess import Pixels
from tinysight.records import from_json
from training.progress import ProgressCallback

_SCRIPT = Path(__file__).with_name("on_cpu.py")
_SAME = 1e-6
"""Of the logits' spread: a smaller difference is one of the order in which floats are summed."""


@dataclass(frozen=True, slots=True)
class Work:
    """A bundle with the images that it is to classify everywhere."""

    bundle: Bundle
    images: Pixels


@dataclass(frozen=True, slots=True)
class Answers:
    """What one process on an emulated CPU gave."""

    logits: NDArray[np.float32]
    """(n, classes)."""
    golden: Comparison | None
    versions: dict[str, str]


def measure(
    work: Sequence[Work], cpus: Sequence[EmulatedCpu], source: str, progress: ProgressCallback
) -> EmulatorsResult:
    """Runs every artifact of the bundles on every CPU, as many at once as there are cores.

    Args:
        work: bundles read from folders, and their images.
        cpus: those that cannot be emulated here are excluded, with the reason.
        source: which images these are, for people.
        progress: told how many artifacts are done.

    Raises:
        EmulatorError: none of the CPUs can be emulated here.
        MissingExtraError: an artifact's engine is not installed on this workstation.
    """
    excluded = {cpu.name: reason for cpu in cpus if (reason := missing(cpu)) is not None}
    possible = [cpu for cpu in cpus if cpu.name not in excluded]
    if not possible:
        raise EmulatorError(next(iter(excluded.values()), "no CPU is named"))
    cells: list[Cell] = []
    versions: dict[str, str] = {}
    expected = list(_workstation(work))
    tasks = [(cpu, *one) for cpu in possible for one in expected]
    progress("emulating", 0, len(tasks))
    with ThreadPoolExecutor(cores()) as pool:
        try:
            for cell, found in pool.map(lambda task: _cell(*task), tasks):
                cells.append(cell)
                versions |= found
                progress(f"emulating {cell.cpu}", len(cells), len(tasks))
        except BaseException:  # Ctrl-C too: what has not begun does not begin
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return EmulatorsResult(
        format=FORMAT,
        date=datetime.now(UTC).date().isoformat(),
        tinysight=__version__,
        versions=versions,
        qemu=qemu_version(possible[0]),
        workstation=describe(),
        images=source,
        excluded=excluded,
        cells=tuple(cells),
    )


def answer_on(cpu: EmulatedCpu, bundle: Bundle, artifact: Artifact, images: Pixels) -> Answers:
    """Classifies the images on an emulated CPU, in a process of its own.

    Args:
        images: uint8 (n, height, width, 3).

    Raises EmulatorError where the CPU cannot be emulated, or where the process fails.
    """
    assert bundle.folder is not None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given, logits = folder / "images.npy", folder / "logits.npy"
        np.save(given, images)
        script = (str(_SCRIPT), str(bundle.folder.absolute()), artifact.name)
        done = subprocess.run(
            python_command(cpu, *script, str(given), str(logits)),
            env=environment(cpu, folder),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise EmulatorError(f"{cpu.name}: {_cause(done)}")
        printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        compared = printed["golden"]
        return Answers(
            logits=np.load(logits),
            golden=None if compared is None else from_json(Comparison, compared),
            versions=printed["versions"],
        )


def compare_images(
    logits: NDArray[np.float32], expected: NDArray[np.float32], labels: Sequence[str]
) -> ImageCheck:
    """Logits of an emulated CPU against the workstation's `expected`, both (n, classes)."""
    spread = float(np.ptp(expected))
    difference = np.abs(logits - expected).max(axis=1)
    best, emulated = expected.argmax(axis=1), logits.argmax(axis=1)
    ranked = np.sort(expected, axis=1)
    return ImageCheck(
        images=len(expected),
        max_difference=float(difference.max()),
        spread=spread,
        changed=int((difference > _SAME * spread).sum()),
        disagreements=tuple(
            Disagreement(
                image=int(index),
                workstation=labels[best[index]],
                emulated=labels[emulated[index]],
                margin=float(ranked[index, -1] - ranked[index, -2]),
            )
            for index in np.flatnonzero(best != emulated)
        ),
    )


def _workstation(
    work: Sequence[Work],
) -> Iterator[tuple[Work, Artifact, NDArray[np.float32]]]:
    """Every artifact with this workstation's logits of its images, one image a call."""
    for one in work:
        absent = set(one.bundle.artifacts) - set(runnable(one.bundle))
        if absent:
            engine = engine_of(absent.pop())
            raise MissingExtraError(f"{engine} is not installed: pip install -e '.[{engine}]'")
        for artifact in one.bundle.artifacts:
            run = open_engine(one.bundle, artifact).run
            yield one, artifact, np.concatenate([run(image[None]) for image in one.images])


def _cell(
    cpu: EmulatedCpu, work: Work, artifact: Artifact, expected: NDArray[np.float32]
) -> tuple[Cell, dict[str, str]]:
    """One artifact on one CPU, and the versions that ran there."""
    error, answers = None, None
    try:
        answers = answer_on(cpu, work.bundle, artifact, work.images)
    except EmulatorError as failure:  # a CPU that an engine dies on is a result
        error = str(failure)
    cell = Cell(
        cpu=cpu.name,
        bundle=work.bundle.name,
        artifact=artifact.name,
        sha256=artifact.sha256,
        engine=engine_of(artifact),
        golden=None if answers is None else answers.golden,
        images=None
        if answers is None
        else compare_images(answers.logits, expected, work.bundle.labels),
        error=error,
    )
    return cell, {} if answers is None else answers.versions


def _cause(done: subprocess.CompletedProcess[str]) -> str:
    """What a process died of, in one line."""
    if done.returncode < 0 or done.returncode > 128:  # qemu dies of its program's own signal
        number = -done.returncode if done.returncode < 0 else done.returncode - 128
        return f"the process died of {signal.strsignal(number) or f'signal {number}'}"
    lines = [line for line in done.stderr.splitlines() if not line.startswith("qemu-")]
    return lines[-1] if lines else f"the process ended with exit code {done.returncode}"
