"""`python -m benchmarks training` trains by both roads, and knows which steps XLA compiles."""

import json

import pytest

pytest.importorskip("tensorflow")

from benchmarks.cli import main
from benchmarks.studies import training_step
from training.optim.xla import WRONG
from training.recipes import RECIPES


def test_it_measures_both_roads(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["training", "--models", "baseline", "--images", "70", "--runs", "1"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["comparisons"]
    assert [one["what"] for one in found] == ["input alone", "baseline"]
    for one in found:
        assert one["ratio"] == pytest.approx(one["on_device_s"] / one["pipeline_s"])
        assert one["images"] == 70


@pytest.mark.parametrize("model", ["vgg16_upsampled", "edge_xl"])
def test_a_model_that_xla_cannot_be_measured_with_is_one_line(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["training", "--xla", "--models", "baseline", model]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{model} is not one of baseline, " in line
    taken = line.partition(" is not one of ")[2].split(", ")
    assert set(taken) == set(RECIPES) - WRONG


@pytest.mark.parametrize("words", [[], ["--models"]])
def test_without_a_name_xla_is_measured_with_all(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which would take a quarter of an hour: only what is asked for is seen here."""
    asked: list[str] = []

    def compare_compiled(
        batch_size: object, runs: object, on_result: object, cases: dict[str, object]
    ) -> list[object]:
        asked.extend(cases)
        return []

    monkeypatch.setattr(training_step, "compare_compiled", compare_compiled)
    assert main(["training", "--xla", *words]) == 0
    assert asked == list(training_step.CASES)
