"""mixed_measured: which graphs are timed, which may lead, and that what is written runs so."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from export.cli import main
from export.search import mixed_precision
from export.search.mixed_precision import Choice, search
from export.settings import ArtifactSettings
from tinysight import load_bundle
from tinysight.provenance import require_provenance
from tinysight.records import from_json
from training.run_folder import Run

LAYERS = ("a", "b", "c")
IMAGE = np.zeros((1, 8, 8, 3), np.uint8)

Costs = dict[str, float]
"""Microseconds by the layers in float32."""


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> Costs:
    """Replaces the clock: each graph takes what the table says, give or take 5 %."""

    def time_interleaved(
        calls: Mapping[str, Callable[[], float]], most: int, seconds: float
    ) -> dict[str, NDArray[np.int64]]:
        rng = np.random.default_rng(0)
        return {
            name: (1000 * call() * rng.uniform(0.95, 1.05, 100)).astype(np.int64)
            for name, call in calls.items()
        }

    monkeypatch.setattr(mixed_precision, "time_interleaved", time_interleaved)
    return {}


def choose(costs: Costs, inaccurate: str = "-") -> Choice:
    """Searches; graphs with the layer `inaccurate` in float32 are rejected."""

    def open_graph(float_layers: Sequence[str]) -> mixed_precision.Run:
        cost = np.float32(costs.get("".join(float_layers), 100))
        return lambda image: np.asarray(cost)

    def reason(float_layers: Sequence[str]) -> str | None:
        return "too inaccurate" if inaccurate in float_layers else None

    return search(LAYERS, open_graph=open_graph, rejection_reason=reason, image=IMAGE)


def test_int8_stays_where_nothing_is_faster(costs: Costs) -> None:
    choice = choose(costs)
    assert choice.float_layers == ()
    assert {trial.float_layers for trial in choice.trials} == {("a",), ("b",), ("c",), LAYERS}
    assert {trial.verdict for trial in choice.trials} == {"within noise"}


def test_layers_are_mixed_one_by_one(costs: Costs) -> None:
    costs.update({"": 100, "a": 80, "b": 90, "c": 120, "ab": 60, "ac": 110, "abc": 130})
    choice = choose(costs)
    assert choice.float_layers == ("a", "b")
    leaders = [t.float_layers for t in choice.trials if t.verdict == "new best"]
    assert leaders == [("a",), ("a", "b")]


def test_all_in_float_can_win_at_once(costs: Costs) -> None:
    costs.update({"": 100, "abc": 50})
    assert choose(costs).float_layers == LAYERS


def test_no_graph_is_tried_twice(costs: Costs) -> None:
    costs.update({"": 100, "a": 80, "ab": 60, "b": 70})
    tried = [trial.float_layers for trial in choose(costs).trials]
    assert len(tried) == len(set(tried))


def test_what_loses_accuracy_does_not_lead(costs: Costs) -> None:
    costs.update({"": 100, "a": 50, "b": 80})
    assert choose(costs, inaccurate="a").float_layers == ("b",)


def test_the_artifact_carries_its_search(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bundle"
    command = ["build", str(run.folder), "--out", str(out), "--formats", "onnx"]
    assert main([*command, "--recipes", "mixed_measured"]) == 0
    bundle = load_bundle(out)
    assert bundle.artifact().recipe == "mixed_measured"
    content = dict(require_provenance(bundle).artifacts["mixed_measured"].settings)
    assert content.pop("compressed_bytes") > 0
    settings = from_json(ArtifactSettings, content)
    assert settings.timing_trials
    tried = {name for trial in settings.timing_trials for name in trial.float_layers}
    assert set(settings.float_layers) <= tried
    assert settings.device is not None
    assert settings.device["cpu"]
    assert "ratio to the best so far" in capsys.readouterr().out
