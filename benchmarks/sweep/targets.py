"""Who takes part in a sweep: one model file under one engine, ours or a peer's."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinysight.bundle import Bundle, load_bundle
from tinysight.engines.registry import engine_of, open_engine
from tinysight.errors import TinysightError
from tinysight.preprocess import Pixels
from tinysight.stats import Accuracy

Run = Callable[[Pixels], NDArray[np.float32]]
"""uint8 images (n, height, width, 3) to float32 logits (n, classes)."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something to measure. Peers of other projects enter as the bundles' artifacts do."""

    model: str
    """Whose weights: a bundle's name. Entrants of one model are compared with each other."""
    recipe: str
    engine: str
    bytes: int
    sha256: str
    """Of the model file, so that a sweep that goes on knows the file it began with."""
    labels: tuple[str, ...]
    """By class index of its logits."""
    shape: tuple[int, int]
    """Height and width of its input."""
    open: Callable[[int], Run]
    """Loads it to run on so many threads. Each pass opens it in a process of its own, so this must
    survive pickle: a function of a module, or a `functools.partial` of one."""
    recorded: Accuracy | None = None
    """What its bundle recorded when it was exported."""

    @property
    def key(self) -> str:
        return f"{self.model}/{self.recipe}@{self.engine}"


def of_bundle(bundle: Bundle) -> Iterator[Target]:
    """Every artifact of a bundle, under the engine of its format."""
    for artifact in bundle.artifacts:
        recorded = artifact.accuracy
        yield Target(
            model=bundle.name,
            recipe=artifact.recipe,
            engine=engine_of(artifact),
            bytes=artifact.bytes,
            sha256=artifact.sha256,
            labels=bundle.labels,
            shape=(bundle.height, bundle.width),
            open=partial(_open, bundle.folder, artifact.name),
            recorded=None if recorded is None else Accuracy(recorded["correct"], recorded["n"]),
        )


def checked(sweep_targets: list[Target]) -> list[Target]:
    """The entrants, once it is known that no two have one name. Raises TinysightError."""
    keys = [target.key for target in sweep_targets]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise TinysightError(f"two bundles have one name: both have {twice[0]}")
    return sweep_targets


def _open(folder: Path | None, name: str, threads: int) -> Run:
    bundle = load_bundle(folder)
    return open_engine(bundle, bundle.artifact(name), threads).run
