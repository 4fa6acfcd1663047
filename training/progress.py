"""What a training tells about itself; the command line draws it."""

from collections.abc import Callable
from typing import Protocol

ProgressCallback = Callable[[str, int, int], None]
"""Told what advances, how much is done, and how much there is; a total of 0 is an unknown one."""


class Progress(Protocol):
    """Implemented by `training.console.TrainingConsole`."""

    def count(self, what: str, done: int, total: int) -> None:
        """A `ProgressCallback`."""

    def started(self, done: int, epochs: int) -> None:
        """The epochs begin, after `done` of them were found finished."""

    def finished_epoch(self, epoch: int, row: dict[str, float]) -> None:
        """Epoch `epoch`, counted from 0, is over and its checkpoint written."""
