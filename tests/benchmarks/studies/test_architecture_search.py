"""The architecture search for the edge family, with networks small enough for a test."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")

from benchmarks.cli import main
from benchmarks.studies import architecture_search
from benchmarks.studies.architecture_search import MemberBudget
from tinysight.stats import Accuracy
from training.data import Dataset

TINY = {
    "edge_s": MemberBudget("baseline", False, ("4s2-8s2", "256s2-256-256")),
    "edge_m": MemberBudget("resnet8", True, ("4s2-8s2", "8s2-8s2-64"), max_bytes=5000),
}
NANOSECONDS = {
    "baseline onnxruntime": 50_000,
    "resnet8 onnxruntime": 80_000,
    "4s2-8s2 onnxruntime": 10_000,
    "8s2-8s2-64 onnxruntime": 12_000,
    "256s2-256-256 onnxruntime": 400_000,
}


@pytest.fixture(autouse=True)
def tiny_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every network is really run; only the clock is ours, so that no busy machine fails a test."""

    def time_interleaved(
        calls: Mapping[str, Callable[[], object]], most: int, seconds: float
    ) -> dict[str, NDArray[np.int64]]:
        for call in calls.values():
            call()
        return {name: np.full(most, NANOSECONDS.get(name, 9_000)) for name in calls}

    monkeypatch.setattr(architecture_search, "MEMBERS", TINY)
    monkeypatch.setattr(architecture_search, "time_interleaved", time_interleaved)


def test_what_is_too_slow_or_too_large_is_not_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["search", "--data", "digits", "--epochs", "1", "--runs", "60"]
    words += ["--train-dir", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert main(words) == 0
    printed = capsys.readouterr().out
    small, medium = json.loads((tmp_path / "out" / "search.json").read_text())
    assert [small["member"], medium["member"]] == ["edge_s", "edge_m"]
    assert list(small["validation"]) == list(medium["validation"]) == ["4s2-8s2"]
    slow = small["costs"][1]
    assert slow["ratio"]["value"] == 8
    assert (slow["onnxruntime_us"], slow["litert_us"]) == (400, 9)
    assert slow["macs"] > 3e8
    validation = small["validation"]["4s2-8s2"]
    assert 0 < validation["n"] < 400
    # Both members ask for it; it is trained once, and on no test image.
    assert validation == medium["validation"]["4s2-8s2"]
    record = json.loads((tmp_path / "runs" / "4s2-8s2" / "run.json").read_text())
    assert record["result"]["test"] is None
    text = (tmp_path / "out" / "search.md").read_text()
    assert text in printed
    assert "not trained" in text
    assert "validation accuracy after 1 epochs, from the labels alone" in text


def test_a_picture_that_cannot_be_read_is_left_out(
    broken_colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a training would take: the search goes on without the picture."""
    taken = []

    def validation_accuracy(stack: str, dataset: Dataset, *_: object, **__: object) -> Accuracy:
        taken.append((stack, len(dataset.targets), len(dataset.broken)))
        return Accuracy(1, 2)

    monkeypatch.setattr(architecture_search, "validation_accuracy", validation_accuracy)
    words = ["search", "edge_s", "--data", str(broken_colours), "--runs", "60"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert taken == [("4s2-8s2", 27, 1)]


def test_latency_alone_says_nothing_of_epochs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "edge_s", "--latency", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "8.00 (8.00 to 8.00) | not trained" in printed
    assert "epochs" not in printed


def test_too_few_runs_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "edge_s", "--latency", "--runs", "5", "--out", str(tmp_path)]) == 1
    assert "--runs must be at least 6" in capsys.readouterr().err


def test_an_unknown_member_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "edge_xl", "--out", str(tmp_path)]) == 1
    assert "no member edge_xl" in capsys.readouterr().err
