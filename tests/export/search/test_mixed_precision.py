"""mixed_measured: which graphs are timed, which may lead, and that what is written runs so."""

import json

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from export.cli import main
from export.search import mixed_precision
from export.search.mixed_precision import search
from tinysight import load_bundle

LAYERS = ("a", "b", "c")
IMAGE = np.zeros((1, 8, 8, 3), np.uint8)


@pytest.fixture
def costs(monkeypatch):
    """Replaces the clock: each graph takes what the table says, give or take 5 %."""
    table = {}

    def time_interleaved(calls, most, seconds):
        rng = np.random.default_rng(0)
        return {
            name: (1000 * call() * rng.uniform(0.95, 1.05, 100)).astype(np.int64)
            for name, call in calls.items()
        }

    monkeypatch.setattr(mixed_precision, "time_interleaved", time_interleaved)
    return table


def choose(costs, rejection_reason=lambda float_layers: None):
    def open_graph(float_layers):
        return lambda image: costs.get("".join(float_layers), 100)

    return search(LAYERS, open_graph=open_graph, rejection_reason=rejection_reason, image=IMAGE)


def test_int8_stays_where_nothing_is_quicker(costs):
    choice = choose(costs)
    assert choice.float_layers == ()
    assert {trial.float_layers for trial in choice.trials} == {("a",), ("b",), ("c",), LAYERS}
    assert {trial.verdict for trial in choice.trials} == {"within noise"}


def test_layers_are_mixed_one_by_one(costs):
    costs.update({"": 100, "a": 80, "b": 90, "c": 120, "ab": 60, "ac": 110, "abc": 130})
    choice = choose(costs)
    assert choice.float_layers == ("a", "b")
    leaders = [t.float_layers for t in choice.trials if t.verdict == "takes the lead"]
    assert leaders == [("a",), ("a", "b")]


def test_all_in_float_can_win_at_once(costs):
    costs.update({"": 100, "abc": 50})
    assert choose(costs).float_layers == LAYERS


def test_no_graph_is_tried_twice(costs):
    costs.update({"": 100, "a": 80, "ab": 60, "b": 70})
    trial = [trial.float_layers for trial in choose(costs).trials]
    assert len(trial) == len(set(trial))


def test_what_loses_accuracy_does_not_lead(costs):
    costs.update({"": 100, "a": 50, "b": 80})
    choice = choose(costs, lambda float_layers: "too inaccurate" if "a" in float_layers else None)
    assert choice.float_layers == ("b",)


def test_the_artifact_carries_its_search(run, tmp_path, capsys):
    out = tmp_path / "bundle"
    arguments = [str(run.folder), "--out", str(out), "--formats", "onnx"]
    assert main([*arguments, "--recipes", "mixed_measured"]) == 0
    artifact = load_bundle(out).artifact()
    assert artifact.recipe == "mixed_measured"
    trials = artifact.settings["search"]
    assert set(artifact.settings["float_layers"]) <= {
        name for t in trials for name in t["float_layers"]
    }
    assert artifact.settings["device"]["cpu"]
    told = capsys.readouterr().out
    assert "ratio to the best so far" in told
    json.dumps(artifact.settings)
