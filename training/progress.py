"""Progress of a training, as it is reported to the command line, which shows it."""

from collections.abc import Callable
from typing import Protocol

ProgressCallback = Callable[[str, int, int], None]
"""Called with what is being done, how many steps are done, and how many there are; 0 is unknown."""


class Progress(Protocol):
    """Implemented by `training.console.TrainingConsole`."""

    def count(self, what: str, done: int, total: int) -> None:
        """A `ProgressCallback`."""

    def started(self, done: int, epochs: int) -> None:
        """The training starts, after `done` of its epochs were restored from a checkpoint."""

    def finished_epoch(self, epoch: int, row: dict[str, float]) -> None:
        """Epoch `epoch`, counted from 0, is finished and its checkpoint written."""
