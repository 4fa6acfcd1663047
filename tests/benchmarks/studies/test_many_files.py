"""Both sides answer alike on the same files, so that their speeds can be compared."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.studies.many_files import _BARE_SCRIPT, _write_files
from tinysight import load_bundle

TINY = Path(__file__).resolve().parents[2] / "tiny" / "bundle"


def test_it_reports_both_speeds_and_their_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["files", str(TINY), "--files", "40", "--jobs", "2", "--runs", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["files"], result["jobs"], result["runs"]) == (40, 2, 1)
    assert result["ratio"] == pytest.approx(result["classify"] / result["bare_script"])


def test_the_bare_script_gives_the_same_classes(tmp_path: Path) -> None:
    bundle = load_bundle(TINY)
    _write_files(tmp_path, 60, bundle.shape, lambda *_: None)
    model = TINY / bundle.artifact().file
    bare = subprocess.run(
        [sys.executable, _BARE_SCRIPT, model, tmp_path, "2"],
        capture_output=True,
        text=True,
        check=True,
    )
    words = ["classify", "--bundle", str(TINY), "--csv", "--jobs", "2", str(tmp_path)]
    ours = subprocess.run(
        [sys.executable, "-m", "tinysight", *words], capture_output=True, text=True, check=True
    )
    labels = [row["label"] for row in csv.DictReader(ours.stdout.splitlines())]
    assert labels == [bundle.labels[int(index)] for index in bare.stdout.split()]
