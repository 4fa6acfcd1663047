"""The overhead of `classify`: which calls are timed, not how long they take."""

import json
from pathlib import Path

import pytest

from benchmarks.cli import main

TINY = Path(__file__).parents[2] / "tiny" / "bundle"


def test_both_calls_are_timed_as_often_as_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["overhead", str(TINY), "--runs", "40", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["runs"] == 40
    assert figures["session_run_us"] > 0
    assert figures["classify_us"] > 0
    assert main(["overhead", str(TINY), "--runs", "40"]) == 0
    assert "difference" in capsys.readouterr().out


def test_no_runs_at_all_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["overhead", str(TINY), "--runs", "0"])
    assert stopped.value.code == 2
    assert "at least 1" in capsys.readouterr().err
