"""Shared by the training tests."""

import pytest


class Silent:
    """A `training.progress.Progress` that keeps what it is told."""

    def __init__(self):
        self.begun_after = None
        self.epochs = []

    def started(self, done, epochs):
        self.begun_after = done

    def count(self, what, done, total):
        assert 0 < done <= total

    def finished_epoch(self, epoch, row):
        self.epochs.append(epoch)


@pytest.fixture
def silent():
    return Silent()
