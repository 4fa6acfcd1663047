"""Shared by the training tests."""

import pytest


class Silent:
    """A `training.loop.Progress` that keeps what it is told."""

    def __init__(self):
        self.begun_after = None
        self.epochs = []

    def started(self, done, epochs):
        self.begun_after = done

    def step(self, epoch, done, steps):
        assert 0 < done <= steps

    def finished_epoch(self, epoch, row):
        self.epochs.append(epoch)


@pytest.fixture
def silent():
    return Silent()
