"""The search of --max-accuracy-drop: in which order it tries, where it stops, what it prints."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from export.cli import main
from export.converter import Candidate
from export.recipes import RECIPES, Format, Recipe
from export.search.accuracy_budget import Budget, rank_layer_sensitivity, search_within_drop
from export.settings import ArtifactSettings
from export.validation.parity import measure_parity, rejection_reason
from tinysight import load_bundle
from tinysight.provenance import Parity, require_provenance
from tinysight.stats import McNemar
from training.run_folder import Run

N = 1000
TARGETS = np.zeros(N, np.int64)
PLAIN = [RECIPES[name] for name in ("float32", "dynamic_w8", "static_w8a8", "static_w8a8_entropy")]


def correct(n: int) -> Parity:
    """Of an artifact that is right on n images of N, where the trained model is on 900."""
    logits = np.zeros((N, 2), np.float32)
    logits[np.arange(N), (np.arange(N) >= n).astype(int)] = 1
    lost = McNemar(max(900 - n, 0), max(n - 900, 0), N)
    return dataclasses.replace(measure_parity(logits, logits, TARGETS), mcnemar=lost)


def convert(recipe: Recipe, format_: Format, float_layers: Sequence[str] = ()) -> Candidate:
    settings = ArtifactSettings(
        recipe.arithmetic, recipe.tolerance, "0" * 64, float_layers=tuple(float_layers)
    )
    return Candidate(recipe, format_, b"", settings)


def trial(
    max_accuracy_drop: float, accuracies: Mapping[str, int], format_: Format = "onnx"
) -> tuple[list[tuple[str, ...]], str | None]:
    """Names and layers in float32 of what is tried, and why the last one is rejected.

    Args:
        accuracies: correct answers of N by recipe, with a + for each layer in float32.
    """

    def measure(candidate: Candidate) -> Parity:
        name = candidate.recipe.name + "+" * len(candidate.settings.float_layers)
        return correct(accuracies.get(name, 900))

    budget = Budget(
        max_accuracy_drop=max_accuracy_drop,
        convert=convert,
        measure=measure,
        rejection_reason=lambda candidate, tolerance: rejection_reason(
            measure(candidate), McNemar(0, 0, N), tolerance
        ),
        rank_layers=lambda recipe: ["b", "a", "c"],
    )
    recipes = [recipe for recipe in PLAIN if format_ in recipe.formats]
    trials = search_within_drop(recipes, format_, budget)
    assert all(one.rejection_reason for one in trials[:-1])
    steps = [(one.candidate.recipe.name, *one.candidate.settings.float_layers) for one in trials]
    return steps, trials[-1].rejection_reason


def test_the_cheapest_that_holds_is_taken() -> None:
    assert trial(0.01, {"static_w8a8": 890}) == ([("static_w8a8",)], None)


def test_another_calibration_comes_before_layers_in_float() -> None:
    steps, reason = trial(0.01, {"static_w8a8": 880, "static_w8a8_entropy": 895})
    assert steps == [("static_w8a8",), ("static_w8a8_entropy",)]
    assert reason is None


def test_then_the_most_sensitive_layers_of_the_best_go_back_one_by_one() -> None:
    bad = {"static_w8a8": 880, "static_w8a8_entropy": 870, "static_w8a8+": 885}
    steps, reason = trial(0.01, bad)
    assert steps == [
        ("static_w8a8",),
        ("static_w8a8_entropy",),
        ("static_w8a8", "b"),
        ("static_w8a8", "b", "a"),
    ]
    assert reason is None


WORSE = {"static_w8a8": 0, "static_w8a8+": 0, "static_w8a8++": 0, "static_w8a8_entropy": 0}


def test_where_integers_cannot_hold_it_floats_do() -> None:
    steps, reason = trial(0.0, {**WORSE, "dynamic_w8": 899})
    assert steps[-2:] == [("dynamic_w8",), ("float32",)]
    assert reason is None
    steps, reason = trial(0.0, {**WORSE, "dynamic_w8": 899, "float32": 899})
    assert steps[-1] == ("float32",)
    assert "loses 0.10%" in (reason or "")


def test_tflite_has_no_layers_to_give_back() -> None:
    steps, _ = trial(0.0, WORSE, "tflite")
    assert steps == [("static_w8a8",), ("dynamic_w8",)]


def test_the_layer_whose_return_helps_most_is_the_most_sensitive() -> None:
    errors = {"a": 0.3, "b": 0.1, "c": 0.2}
    order = rank_layer_sensitivity(
        RECIPES["static_w8a8"],
        list(errors),
        convert=convert,
        error=lambda candidate: errors[candidate.settings.float_layers[0]],
        count=lambda done, total: None,
    )
    assert order == ["b", "c", "a"]


Export = Callable[..., tuple[int, Path]]


@pytest.fixture(scope="module")
def bounded(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """A function that exports a real run within a budget."""

    def export(points: str, *words: str) -> tuple[int, Path]:
        out = tmp_path_factory.mktemp("bound") / "bundle"
        command = ["build", str(run.folder), "--out", str(out), "--max-accuracy-drop", points]
        return main([*command, *words]), out

    return export


def test_a_real_bundle_holds_the_chosen_of_each_format(
    bounded: Export, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = bounded("1", "--recipes", "static_w8a8")
    assert code == 0
    bundle = load_bundle(out)
    assert bundle.default == "static_w8a8"
    names = {artifact.name for artifact in bundle.artifacts}
    assert names == {"static_w8a8", "static_w8a8.tflite"}
    assert require_provenance(bundle).export.max_accuracy_drop == 0.01
    assert "chosen" in capsys.readouterr().out


def test_where_nothing_else_is_named_float32_is_taken_and_said_so(
    bounded: Export, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = bounded("0", "--recipes", "float32", "--formats", "onnx")
    assert code == 0
    assert load_bundle(out).default == "float32"
    assert "float32: nothing cheaper keeps within 0 points" in capsys.readouterr().out


@pytest.mark.parametrize("points", ["-1", "101", "much"])
def test_a_senseless_bound_is_a_usage_error(points: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["build", "run", "--out", "b", "--max-accuracy-drop", points])
    assert caught.value.code == 2
