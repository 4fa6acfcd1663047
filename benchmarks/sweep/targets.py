"""What a sweep measures: one model file under one engine, a bundle's or another toolchain's."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tinysight.benchmark.results import ModelVariant
from tinysight.benchmark.runner import variant_of
from tinysight.benchmark.worker import Run, open_artifact
from tinysight.bundle import Bundle
from tinysight.errors import TinysightError


@dataclass(frozen=True, slots=True)
class Target:
    """A variant of a model, and how to run it."""

    variant: ModelVariant
    """With the accuracy that its bundle recorded; variants of one model are compared."""
    labels: tuple[str, ...]
    """By class index of its logits."""
    shape: tuple[int, int]
    """Height and width of its input, in pixels."""
    open: Callable[[int], Run]
    """Loads it to run on so many threads. Called in a process of its own, so it must survive
    pickle: a function of a module, or a `functools.partial` of one."""

    @property
    def key(self) -> str:
        return self.variant.key


def of_bundle(bundle: Bundle) -> Iterator[Target]:
    """Every artifact of a bundle, under the engine of its format."""
    for artifact in bundle.artifacts:
        yield Target(
            variant_of(bundle, artifact),
            bundle.labels,
            bundle.shape,
            partial(open_artifact, str(bundle.folder), artifact.name),
        )


def require_distinct(targets: list[Target]) -> None:
    """Raises TinysightError where two targets have one key."""
    keys = [target.key for target in targets]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise TinysightError(f"two bundles have one name: both have {twice[0]}")
