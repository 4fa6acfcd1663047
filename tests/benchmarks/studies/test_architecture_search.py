"""The search for the edge family, with networks small enough for a test."""

import json

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")

from benchmarks.cli import main
from benchmarks.studies import architecture_search
from benchmarks.studies.architecture_search import Place

TINY = {
    "edge_s": Place("baseline", False, ("4s2-8s2", "256s2-256-256")),
    "edge_m": Place("resnet8", True, ("4s2-8s2", "8s2-8s2-64"), most_bytes=5000),
}


NANOSECONDS = {
    "baseline onnxruntime": 50_000,
    "resnet8 onnxruntime": 80_000,
    "4s2-8s2 onnxruntime": 10_000,
    "8s2-8s2-64 onnxruntime": 12_000,
    "256s2-256-256 onnxruntime": 400_000,
}


@pytest.fixture(autouse=True)
def tiny_places(monkeypatch):
    """Every network is really run; only the clock is ours, so that no busy machine fails a test."""

    def time_interleaved(calls, most, seconds):
        for call in calls.values():
            call()
        return {name: np.full(most, NANOSECONDS.get(name, 9_000)) for name in calls}

    monkeypatch.setattr(architecture_search, "PLACES", TINY)
    monkeypatch.setattr(architecture_search, "time_interleaved", time_interleaved)


def test_what_is_too_slow_or_too_large_is_not_trained(tmp_path, capsys):
    words = ["search", "--data", "digits", "--epochs", "1", "--calls", "60"]
    words += ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert main(words) == 0
    printed = capsys.readouterr().out
    small, medium = json.loads((tmp_path / "out" / "search.json").read_text())
    trained = {
        one["member"]: [c["stack"] for c in one["candidates"] if c["validation"]]
        for one in (small, medium)
    }
    assert trained == {"edge_s": ["4s2-8s2"], "edge_m": ["4s2-8s2"]}
    slow = small["candidates"][1]
    assert slow["ratio"]["value"] == 8
    assert (slow["onnxruntime_us"], slow["litert_us"]) == (400, 9)
    assert slow["macs"] > 3e8
    validation = small["candidates"][0]["validation"]
    assert 0 < validation["n"] < 400
    # Both places ask for it; it is trained once, and on no test image.
    assert validation == medium["candidates"][0]["validation"]
    record = json.loads((tmp_path / "runs" / "4s2-8s2" / "run.json").read_text())
    assert record["test"] is None
    text = (tmp_path / "out" / "search.md").read_text()
    assert text in printed
    assert "not trained" in text
    assert "accuracy after 1 epochs" in text


def test_latency_alone_says_nothing_of_epochs(tmp_path, capsys):
    assert main(["search", "edge_s", "--latency", "--out", str(tmp_path)]) == 0
    assert "8.00 (8.00 to 8.00) | not trained" in (text := capsys.readouterr().out)
    assert "epochs" not in text


def test_a_place_that_is_none_is_one_line(tmp_path, capsys):
    assert main(["search", "edge_xl", "--out", str(tmp_path)]) == 1
    assert "no member edge_xl" in capsys.readouterr().err
