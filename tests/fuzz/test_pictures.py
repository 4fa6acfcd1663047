"""A short run of `python -m tests.fuzz.pictures`: the long one is `make fuzz`."""

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz import hostile, pictures


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of a process")
def test_hostile_pictures_are_answered_or_refused(tmp_path: Path) -> None:
    report = pictures.run(150, 20_260_101, tmp_path)
    assert report.ok, report.findings
    assert report.tried == 150
    assert 20 < report.answered < 130
    assert report.peak_mb <= 256


def test_a_case_is_made_again_by_its_seed_and_index(tmp_path: Path) -> None:
    for index in range(40):
        first, second = (
            hostile.case(np.random.default_rng([5, index]), tmp_path, []) for _ in range(2)
        )
        assert first.kind == second.kind
        if isinstance(first.source, bytes):
            assert first.source == second.source


def test_what_breaks_a_rule_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness itself: an untyped error and wrong pixels do not pass."""
    draw = np.random.default_rng(0)
    whole = hostile.Case("whole", np.zeros((9, 9, 3), np.uint8))
    assert pictures.check(whole, draw)[0] == "answered"
    assert pictures.check(hostile.Case("rubbish", b"x"), draw)[0] == "refused"

    def broken(source: object, height: int, width: int) -> np.ndarray:
        if isinstance(source, bytes):
            raise KeyError("x")
        return np.zeros((height, width, 4), np.uint8)

    monkeypatch.setattr(pictures, "to_pixels", broken)
    assert pictures.check(whole, draw)[0] == "wrong"
    assert pictures.check(hostile.Case("rubbish", b"x"), draw) == ("untyped", "KeyError: 'x'")
