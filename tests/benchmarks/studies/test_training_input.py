"""`python -m benchmarks training` trains by both roads."""

import json

import pytest

pytest.importorskip("tensorflow")

from benchmarks.cli import main


def test_it_measures_both_roads(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["training", "--models", "baseline", "--images", "70", "--runs", "1"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["comparisons"]
    assert [one["what"] for one in found] == ["input alone", "baseline"]
    for one in found:
        assert one["ratio"] == pytest.approx(one["on_device_s"] / one["pipeline_s"])
        assert one["images"] == 70
