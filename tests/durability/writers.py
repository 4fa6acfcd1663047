"""The writers under test: how each prepares a place, writes, and what a reader finds there."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import tinysight.files
from benchmarks.sweep.checkpoint import SweepCheckpoint
from tinysight.bundle import load_bundle
from tinysight.files import new_folder, sole_writer_beside, sole_writer_inside, write_bytes
from tinysight.provenance import IndexSet
from training.data.cache import cached
from training.data.dataset import Decoded
from training.recipes import Recipe
from training.run_folder import (
    RunData,
    RunRecord,
    RunSplits,
    read_history,
    read_record,
    write_history,
    write_record,
)

BUNDLE = Path(__file__).parents[1] / "tiny" / "bundle"
OLD, NEW = 1, 2


@dataclass(frozen=True, slots=True)
class Writer:
    """One way of the project to write; `write` and `read` get the folder of the trial."""

    name: str
    write: Callable[[Path, int], None]
    """Writes the state of this number, over what is there."""
    read: Callable[[Path], int]
    """The number of the state that a reader finds; raises where it is neither."""


def _write_result(folder: Path, number: int) -> None:
    folder.mkdir(exist_ok=True)
    with sole_writer_inside(folder):
        write_bytes(folder / "result.json", json.dumps([number] * 20_000).encode())


def _read_result(folder: Path) -> int:
    numbers = json.loads((folder / "result.json").read_text())
    assert numbers == [numbers[0]] * 20_000
    return int(numbers[0])


def _write_bundle(folder: Path, number: int) -> None:
    """As `export build` does: artifacts, then descriptions, read again before they are shown."""
    target = folder / "bundle"
    description = replace(load_bundle(BUNDLE), name=f"state-{number}").as_text()
    with sole_writer_beside(target), new_folder(target, overwrite=True) as temporary:
        for file in BUNDLE.iterdir():
            if file.name != "bundle.json":
                (temporary / file.name).write_bytes(file.read_bytes())
        (temporary / "bundle.json").write_text(description)
        load_bundle(temporary)


def _read_bundle(folder: Path) -> int:
    bundle = load_bundle(folder / "bundle")
    for artifact in bundle.artifacts:
        bundle.read_checked(artifact.file, artifact)
    return int(bundle.name.removeprefix("state-"))


def _write_bundle_in_two_steps(folder: Path, number: int) -> None:
    """As on a file system that cannot exchange two folders."""
    exchange = tinysight.files.exchange_folders
    tinysight.files.exchange_folders = lambda one, other: False
    try:
        _write_bundle(folder, number)
    finally:
        tinysight.files.exchange_folders = exchange


def _write_run(folder: Path, number: int) -> None:
    run = folder / "run"
    with sole_writer_inside(run):
        write_history(run, [{"loss": float(number)}] * 50)
        part = IndexSet(number, "0" * 64)
        data = RunData(
            "data", "Data", "digits", "0" * 64, "", ("a", "b"), (8, 8, 3), ("note",) * 500,
            RunSplits(part, part, part),
        )  # fmt: skip
        write_record(run, RunRecord(Recipe("baseline"), data, "2026-01-01T00:00:00+00:00"))


def _read_run(folder: Path) -> int:
    assert len(read_history(folder / "run")) == 50
    return read_record(folder / "run").data.splits.train.n


def _write_cache(folder: Path, number: int) -> None:
    """The same content each time: what is cached never changes, but may be damaged."""

    def decode() -> Decoded:
        images = np.full((40, 32, 32, 3), 7, np.uint8)
        return Decoded(("a", "b"), images, np.zeros(40, np.int64), {"train": 40})

    decoded, _ = cached(folder, f"content {number}", (32, 32), decode)
    assert (decoded.images == 7).all()


def _read_cache(folder: Path) -> int:
    entries = [one for one in (folder / "decoded").glob("*") if not one.name.startswith(".")]
    for entry in entries:
        assert (np.load(entry / "images.npy") == 7).all()
        json.loads((entry / "meta.json").read_text())
    return len(entries)


def _write_measurement(folder: Path, number: int) -> None:
    with sole_writer_inside(folder):
        for other in range(number):
            SweepCheckpoint(folder, {"of": 1}).load_or_make(
                f"cell-{other}", IndexSet, lambda: IndexSet(7, "0" * 64)
            )


def _read_measurement(folder: Path) -> int:
    checkpoint = SweepCheckpoint(folder, {"of": 1})
    count = sum(checkpoint.has(f"cell-{number}") for number in range(NEW))
    for number in range(count):
        record = checkpoint.load_or_make(f"cell-{number}", IndexSet, lambda: IndexSet(1, "1" * 64))
        assert record.n == 7
    return count


WRITERS = (
    Writer("result", _write_result, _read_result),
    Writer("bundle", _write_bundle, _read_bundle),
    Writer("bundle in two steps", _write_bundle_in_two_steps, _read_bundle),
    Writer("run", _write_run, _read_run),
    Writer("cache", _write_cache, _read_cache),
    Writer("unfinished sweep", _write_measurement, _read_measurement),
)
