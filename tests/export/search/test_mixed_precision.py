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

    def in_turns(calls, most, seconds):
        rng = np.random.default_rng(0)
        return {
            name: (1000 * call() * rng.uniform(0.95, 1.05, 100)).astype(np.int64)
            for name, call in calls.items()
        }

    monkeypatch.setattr(mixed_precision, "in_turns", in_turns)
    return table


def choose(costs, objection=lambda in_float: None):
    def open_graph(in_float):
        return lambda image: costs.get("".join(in_float), 100)

    return search(LAYERS, open_graph=open_graph, objection=objection, image=IMAGE)


def test_int8_stays_where_nothing_is_quicker(costs):
    choice = choose(costs)
    assert choice.in_float == ()
    assert {trial.in_float for trial in choice.trials} == {("a",), ("b",), ("c",), LAYERS}
    assert {trial.verdict for trial in choice.trials} == {"within noise"}


def test_layers_are_mixed_one_by_one(costs):
    costs.update({"": 100, "a": 80, "b": 90, "c": 120, "ab": 60, "ac": 110, "abc": 130})
    choice = choose(costs)
    assert choice.in_float == ("a", "b")
    leaders = [t.in_float for t in choice.trials if t.verdict == "takes the lead"]
    assert leaders == [("a",), ("a", "b")]


def test_all_in_float_can_win_at_once(costs):
    costs.update({"": 100, "abc": 50})
    assert choose(costs).in_float == LAYERS


def test_no_graph_is_tried_twice(costs):
    costs.update({"": 100, "a": 80, "ab": 60, "b": 70})
    tried = [trial.in_float for trial in choose(costs).trials]
    assert len(tried) == len(set(tried))


def test_what_loses_accuracy_does_not_lead(costs):
    costs.update({"": 100, "a": 50, "b": 80})
    choice = choose(costs, lambda in_float: "too inaccurate" if "a" in in_float else None)
    assert choice.in_float == ("b",)


def test_the_artifact_carries_its_search(run, tmp_path, capsys):
    out = tmp_path / "bundle"
    arguments = [str(run.folder), "--out", str(out), "--formats", "onnx"]
    assert main([*arguments, "--recipes", "mixed_measured"]) == 0
    artifact = load_bundle(out).artifact()
    assert artifact.recipe == "mixed_measured"
    trials = artifact.settings["search"]
    assert set(artifact.settings["in_float"]) <= {name for t in trials for name in t["in_float"]}
    assert artifact.settings["device"]["cpu"]
    told = capsys.readouterr().out
    assert "ratio to the best so far" in told
    json.dumps(artifact.settings)
