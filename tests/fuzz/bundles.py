"""Hostile bundles through every command that reads one: `python -m tests.fuzz.bundles`.

Mutated and crafted bundles, hashes kept and rewritten. Each is loaded, classified with, verified
and described, in a process that reads many of them; a crash or a hang ends that process alone, and
the next one goes on. Nothing but a typed error or an answer may come of any.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import io
import json
import math
import multiprocessing
import os
import select
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from tests.fuzz.mutations.crafted import CRAFTED, SECRET, rewrite_hashes
from tests.fuzz.mutations.onnx_tree import change_onnx
from tests.fuzz.mutations.plain import change_bytes, change_json
from tests.fuzz.mutations.tflite_tree import change_tflite
from tinysight.bundle import load_bundle
from tinysight.classifier import Classifier
from tinysight.cli.main import COMMANDS
from tinysight.cli.main import main as command_line
from tinysight.console import ProgressLine
from tinysight.engines.registry import runnable
from tinysight.errors import TinysightError

HANG_SECONDS = 30
"""Of one bundle through all commands, on a machine that may be busy."""
_BATCH = 100
"""Bundles of one process."""
_MEMORY_MB = 4096
"""Address space of a process; what needs more fails as untyped."""
_SLOW_COMMANDS = {"bench": 100, "tune": 100, "select": 100}
"""One in so many bundles that load goes through these too: they take seconds."""

_TINY = Path(__file__).parents[1] / "tiny" / "bundle_litert"


@dataclass
class Report:
    """What came of all bundles."""

    tried: int = 0
    loaded: int = 0
    """Those that a classifier loaded and answered with."""
    untyped: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    reads_outside: list[str] = field(default_factory=list)
    damage_accepted: list[str] = field(default_factory=list)
    """Hashes were kept, a file was not, and it was loaded all the same."""
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def findings(self) -> int:
        lists = (self.untyped, self.crashes, self.hangs, self.reads_outside, self.damage_accepted)
        return sum(map(len, lists))


@dataclass(frozen=True)
class Outcome:
    """What came of one bundle."""

    kind: str
    loaded: bool
    untyped: tuple[str, ...]
    reads_outside: bool
    damage_accepted: bool


def write_case(index: int, seed: int, folder: Path) -> tuple[str, bool]:
    """Writes the bundle of a number; returns what was done to it, and whether hashes were kept."""
    random = Random(f"{seed} {index}")
    source = random.choice((_TINY, _TINY, load_bundle("edge_s").folder))
    assert source is not None
    shutil.copytree(source, folder)
    kinds: tuple[str, ...] = (
        "bundle.json",
        "onnx",
        "tflite",
        "onnx tree",
        "tflite tree",
        "crafted",
    )
    if (folder / "provenance.json").exists():
        kinds = (*kinds, "provenance.json", "provenance.json")
    kind = random.choice(kinds)
    if kind == "crafted":
        name = random.choice(tuple(CRAFTED))
        CRAFTED[name](folder)
        return name, False
    keep = random.random() < 0.15 and kind != "bundle.json"
    file = next(iter(folder.glob(f"*.{kind.split()[0]}")), folder / kind)
    content = file.read_bytes()
    if kind == "onnx tree":
        changed = change_onnx(content, random)
    elif kind == "tflite tree":
        changed = change_tflite(content, random) or change_bytes(content, random)
    elif kind in ("onnx", "tflite"):
        changed = change_bytes(content, random)
    else:
        changed = (change_json if random.random() < 0.8 else change_bytes)(content, random)
    file.write_bytes(changed)
    if not keep:
        rewrite_hashes(folder)
    return kind, keep and changed != content


class _Watch:
    """Tells whether files were opened, by inotify; where there is none (not Linux), never."""

    _IN_ACCESS_OPEN = 0x00000001 | 0x00000020

    def __init__(self, files: Sequence[Path]) -> None:
        self._handle = -1
        if sys.platform == "linux":
            libc = ctypes.CDLL(None)
            self._handle = libc.inotify_init1(os.O_NONBLOCK)
            for file in files:
                libc.inotify_add_watch(self._handle, os.fsencode(file), self._IN_ACCESS_OPEN)

    def opened(self) -> bool:
        """Since it was asked last."""
        if self._handle < 0 or not select.select([self._handle], [], [], 0)[0]:
            return False
        return bool(os.read(self._handle, 1 << 16))


@dataclass
class Reader:
    """Reads bundles in a folder as an application and as the commands do."""

    work: Path
    index: int = 0

    def __post_init__(self) -> None:
        self._cwd = self.work / "cwd"
        self._cwd.mkdir(parents=True)
        secrets = [self._cwd / SECRET, self.work / SECRET]
        for secret in secrets:
            secret.write_bytes(bytes(1 << 16))
        os.chdir(self._cwd)
        self._picture = self.work / "picture.png"
        Image.new("RGB", (32, 32), (90, 90, 90)).save(self._picture)
        self._watch = _Watch(secrets)

    def read(self, index: int, seed: int) -> Outcome:
        """Makes the bundle of a number and reads it."""
        folder = self.work / "bundle"
        shutil.rmtree(folder, ignore_errors=True)
        kind, damaged = write_case(index, seed, folder)
        self._watch.opened()
        untyped: list[str] = []
        loaded = self._load(folder, untyped)
        for command in COMMANDS:
            slow = _SLOW_COMMANDS.get(command)
            if slow is None or (not loaded and index % 10 == 0) or index % slow == 0:
                self._run(command, folder, untyped)
        outcome = Outcome(kind, loaded, tuple(untyped), self._watch.opened(), damaged and loaded)
        shutil.rmtree(folder)
        return outcome

    def _load(self, folder: Path, untyped: list[str]) -> bool:
        """Loads every artifact and classifies with it: both must work, or raise what is ours."""
        try:
            bundle = load_bundle(folder)
            names = [artifact.name for artifact in runnable(bundle)]
        except TinysightError:
            return False
        except Exception as error:
            untyped.append(f"load_bundle: {error!r:.200}")
            return False
        good = True
        for name in names:
            try:
                classifier = Classifier.load(folder, artifact=name)
                shape = (*bundle.shape, 3)
                for image in (np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)):
                    answer = classifier.classify(image, top_k=3)
                    assert answer.label in bundle.labels
                    assert 0 <= answer.probability <= 1
                    assert math.isfinite(answer.energy_score)
                list(classifier.classify_many([np.zeros(shape, np.uint8)] * 3))
            except TinysightError:
                good = False
            except Exception as error:
                good = False
                untyped.append(f"{name}: {error!r:.200}")
        return good

    def _run(self, command: str, folder: Path, untyped: list[str]) -> None:
        words = {
            "classify": ["classify", str(self._picture), "--bundle", str(folder)],
            "info": ["info", "--bundle", str(folder), "--json"],
            "verify": ["verify", "--bundle", str(folder)],
            "bench": ["bench", "--bundle", str(folder), "--runs", "20", "--processes", "2"],
            "tune": ["tune", "--bundle", str(folder), "--runs", "20"],
            "select": ["select", "--bundle", str(folder), "--max-size-kb", "900", "--runs", "20"],
        }.get(command)
        if words is None:  # it reads no bundle by its folder alone
            return
        out, complaints = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(complaints):
                code = command_line(words)
        except BaseException as error:
            untyped.append(f"{command}: {error!r:.200}")
            return
        said = complaints.getvalue()
        if (
            code not in (0, 1)
            or "Traceback" in said
            or any("\x1b" in text for text in (out.getvalue(), said))
        ):
            untyped.append(f"{command}: exit code {code}: {said[-200:]!r}")
        if code == 1 and not said and not out.getvalue():
            untyped.append(f"{command}: no word of why it failed")


def _work(pipe: Connection, seed: int, indices: range, work: Path) -> None:
    """In a process of its own: reads bundles, and tells of each before and after."""
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_MB << 20, _MEMORY_MB << 20))
    os.environ["TINYSIGHT_CACHE"] = str(work / "cache")
    quiet = os.open(work.parent / "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(quiet, 2)  # engines complain of what they refuse
    reader = Reader(work)
    for index in indices:
        pipe.send(index)
        try:
            outcome = reader.read(index, seed)
        except Exception as error:  # of the harness itself, which must not pass for a crash
            outcome = Outcome("harness", False, (f"{error!r:.200}",), False, False)
        pipe.send(outcome)


def fuzz(count: int, seed: int, *, progress: bool = False) -> Report:
    """Reads so many bundles, on all cores; the same seed makes the same ones."""
    report, line = Report(), ProgressLine()
    batches = [range(at, min(count, at + _BATCH)) for at in range(0, count, _BATCH)]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        for part in pool.map(lambda batch: _read_batch(batch, seed, Path(folder)), batches):
            for one in dataclasses.fields(Report):
                value = getattr(report, one.name) + getattr(part, one.name)
                setattr(report, one.name, value)
            if progress:
                line("hostile bundles", report.tried, count)
    line.clear()
    return report


def _read_batch(indices: range, seed: int, folder: Path) -> Report:
    """Bundles in a process of its own; after a crash or a hang, the rest in a new one."""
    report, next_index = Report(), indices.start
    context = multiprocessing.get_context("spawn")
    while next_index < indices.stop:
        work = folder / str(next_index)
        ours, theirs = context.Pipe(duplex=False)
        rest = range(next_index, indices.stop)
        process = context.Process(target=_work, args=(theirs, seed, rest, work))
        process.start()
        theirs.close()
        for outcome in _outcomes(ours, report, process):
            _add(report, outcome, next_index)
            next_index += 1
        if next_index < indices.stop:  # it crashed or hung on this one
            report.tried += 1
            next_index += 1
        process.kill()
        process.join()
        shutil.rmtree(work, ignore_errors=True)
    return report


def _outcomes(
    pipe: Connection, report: Report, process: multiprocessing.context.SpawnProcess
) -> Iterator[Outcome]:
    """What the process tells, until it is done, crashes or hangs."""
    index: int | None = None
    with pipe:
        while True:
            if not pipe.poll(HANG_SECONDS if index is not None else 120):
                report.hangs.append(f"{index}: more than {HANG_SECONDS} s")
                return
            try:
                message = pipe.recv()
            except EOFError:
                process.join()
                if index is not None:
                    report.crashes.append(f"{index}: exit code {process.exitcode}")
                elif process.exitcode:
                    raise RuntimeError(f"the reader failed, exit code {process.exitcode}") from None
                return
            if isinstance(message, int):
                index = message
            else:
                index = None
                yield message


def _add(report: Report, outcome: Outcome, index: int) -> None:
    report.tried += 1
    report.loaded += outcome.loaded
    report.kinds[outcome.kind] += 1
    report.untyped += [f"{index} ({outcome.kind}): {text}" for text in outcome.untyped]
    if outcome.reads_outside:
        report.reads_outside.append(f"{index} ({outcome.kind})")
    if outcome.damage_accepted:
        report.damage_accepted.append(f"{index} ({outcome.kind})")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="bundles (default: 10000)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default: 0)")
    args = parser.parse_args(argv)
    began = time.monotonic()
    report = fuzz(args.count, args.seed, progress=True)
    print(
        f"{report.tried:,} hostile bundles in {math.ceil(time.monotonic() - began)} s, "
        f"{report.loaded:,} of them loaded: {len(report.untyped)} untyped, "
        f"{len(report.crashes)} crashes, {len(report.hangs)} hangs, "
        f"{len(report.reads_outside)} files read outside, "
        f"{len(report.damage_accepted)} accepted though damaged"
    )
    print(json.dumps(dict(report.kinds.most_common())))
    for name in ("untyped", "crashes", "hangs", "reads_outside", "damage_accepted"):
        for finding in getattr(report, name)[:40]:
            print(f"{name}: {finding}")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
