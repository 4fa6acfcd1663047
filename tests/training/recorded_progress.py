"""A `training.progress.Progress` for tests."""


class RecordedProgress:
    """Keeps what is reported; stops the training after an epoch where it is asked to."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.counted: list[str] = []
        """What was being done, once for each step."""
        self.resumed_after: int | None = None
        self.epochs: list[int] = []
        self._stop_after = stop_after

    def started(self, done: int, epochs: int) -> None:
        assert 0 <= done <= epochs
        self.resumed_after = done

    def count(self, what: str, done: int, total: int) -> None:
        assert 0 < done <= total
        self.counted.append(what)

    def finished_epoch(self, epoch: int, row: dict[str, float]) -> None:
        self.epochs.append(epoch)
        if epoch + 1 == self._stop_after:
            raise KeyboardInterrupt
