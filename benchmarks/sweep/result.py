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

from tinysight.benchmark.results import Bench, Cell
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
class Entry:
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
    entries: tuple[Entry, ...]
    cells: tuple[Cell, ...]
    layers: Mapping[str, Any] = field(default_factory=dict)
    """Time by layer, where `python -m export explain --json` was given: by model."""
    bench: Bench | None = None
    """The whole of what a device measured with `tinysight bench`, where this comes from there."""

    def __post_init__(self) -> None:
        keys = {entry.key for entry in self.entries}
        places = [cell.place for cell in self.cells]
        if len(keys) != len(self.entries) or len(set(places)) != len(places):
            raise ValueError("an entry or a cell is there twice")
        if {cell.entry for cell in self.cells} != keys:
            raise ValueError("cells and entries do not belong together")
        for entry in self.entries:
            if entry.answers is not None and (
                self.data is None or entry.answers.shape != self.data.targets.shape
            ):
                raise ValueError(f"{entry.key} has not an answer for every image")

    def entry(self, key: str) -> Entry:
        return next(entry for entry in self.entries if entry.key == key)

    def at(self, threads: int, batch: int) -> list[Cell]:
        """The cells of that many threads and images, the quickest first."""
        chosen = [cell for cell in self.cells if (cell.threads, cell.batch) == (threads, batch)]
        return sorted(chosen, key=lambda cell: cell.median)

    @property
    def base(self) -> list[Cell]:
        """The cells that latencies are quoted from: fewest threads, smallest batch."""
        return self.at(
            min(cell.threads for cell in self.cells), min(cell.batch for cell in self.cells)
        )


def rated(result: Result) -> bool:
    """Whether the accuracy of anything is known, so that there is a front to draw."""
    return any(entry.accuracy is not None for entry in result.entries)


def front(result: Result, cells: Sequence[Cell]) -> list[Cell]:
    """Those that nothing else beats in both latency and accuracy, the quickest first."""
    kept: list[Cell] = []
    best = -1.0
    worth = {e.key: e.accuracy.value for e in result.entries if e.accuracy is not None}
    rated = [cell for cell in cells if cell.entry in worth]
    for cell in sorted(rated, key=lambda cell: (cell.median, -worth[cell.entry])):
        if worth[cell.entry] > best:
            kept.append(cell)
            best = worth[cell.entry]
    return kept
