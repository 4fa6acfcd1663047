"""The time to start: which processes are run, not how long they take."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.cli import main

TINY = Path(__file__).parents[2] / "tiny" / "bundle"


def test_both_processes_are_run_as_often_as_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["startup", str(TINY), "--runs", "2", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["runs"] == 2
    assert min(figures["classify_ms"], figures["bare_script_ms"], figures["ratio"]) > 0
    assert main(["startup", str(TINY), "--runs", "1"]) == 0
    assert "bare script" in capsys.readouterr().out


def test_a_process_that_fails_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(TINY, folder)
    (folder / "float32.onnx").unlink()
    assert main(["startup", str(folder), "--runs", "1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "float32.onnx" in line
