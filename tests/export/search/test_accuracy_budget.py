"""The walk of --max-drop: in which order it tries, where it stops, what it says."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from export.cli import main
from export.converter import Candidate
from export.recipes import RECIPES
from export.search.accuracy_budget import rank_layer_sensitivity, search_within_drop
from export.validation.parity import Parity
from tinysight import load_bundle

N = 1000
TARGETS = np.zeros(N, np.int64)
PLAIN = [RECIPES[name] for name in ("float32", "dynamic_w8", "static_w8a8", "static_w8a8_entropy")]


def right(n):
    """A parity of a model that is right n times of N."""
    logits = np.zeros((N, 2), np.float32)
    logits[np.arange(N), (np.arange(N) >= n).astype(int)] = 1
    return Parity.of(logits, logits, TARGETS)


def convert(recipe, format_, float_layers=()):
    return Candidate(recipe, format_, b"", {"float_layers": list(float_layers)})


def trial(max_drop, accuracies, format_="onnx"):
    """Names and layers in float32 of what is tried; `accuracies` by name, and by layers left."""

    def measure(candidate):
        layers = len(candidate.settings["float_layers"])
        name = candidate.recipe.name + "+" * layers
        return right(accuracies.get(name, 900))

    steps = search_within_drop(
        [recipe for recipe in PLAIN if format_ in recipe.formats],
        format_,
        max_drop,
        convert=convert,
        measure=measure,
        harm=lambda recipe: ["b", "a", "c"],
        reference=right(900),
    )
    assert all(step.rejection_reason for step in steps[:-1])
    return [
        (step.candidate.recipe.name, *step.candidate.settings["float_layers"]) for step in steps
    ], (steps[-1].rejection_reason)


def test_the_cheapest_that_holds_is_taken():
    assert trial(0.01, {"static_w8a8": 890}) == ([("static_w8a8",)], None)


def test_another_calibration_comes_before_layers_in_float():
    steps, rejection_reason = trial(0.01, {"static_w8a8": 880, "static_w8a8_entropy": 895})
    assert steps == [("static_w8a8",), ("static_w8a8_entropy",)]
    assert rejection_reason is None


def test_then_the_most_harmful_layers_of_the_best_go_back_one_by_one():
    bad = {"static_w8a8": 880, "static_w8a8_entropy": 870, "static_w8a8+": 885}
    steps, rejection_reason = trial(0.01, bad)
    assert steps == [
        ("static_w8a8",),
        ("static_w8a8_entropy",),
        ("static_w8a8", "b"),
        ("static_w8a8", "b", "a"),
    ]
    assert rejection_reason is None


WORSE = {"static_w8a8": 0, "static_w8a8+": 0, "static_w8a8++": 0, "static_w8a8_entropy": 0}


def test_where_integers_cannot_hold_it_floats_do():
    steps, rejection_reason = trial(0.0, {**WORSE, "dynamic_w8": 899})
    assert steps[-2:] == [("dynamic_w8",), ("float32",)]
    assert rejection_reason is None
    steps, rejection_reason = trial(0.0, {**WORSE, "dynamic_w8": 899, "float32": 899})
    assert steps[-1] == ("float32",)
    assert "loses 0.10%" in rejection_reason


def test_tflite_has_no_layers_to_give_back():
    steps, _ = trial(0.0, WORSE, "tflite")
    assert steps == [("static_w8a8",), ("dynamic_w8",)]


def test_the_layer_whose_return_mends_most_is_the_most_harmful():
    errors = {"a": 0.3, "b": 0.1, "c": 0.2}
    order = rank_layer_sensitivity(
        RECIPES["static_w8a8"],
        list(errors),
        convert=convert,
        error=lambda candidate: errors[candidate.settings["float_layers"][0]],
        count=lambda done, total: None,
    )
    assert order == ["b", "c", "a"]


@pytest.fixture(scope="module")
def bounded(run, tmp_path_factory):
    """A function that exports a real run under a bound."""

    def export(points, *words):
        out = tmp_path_factory.mktemp("bound") / "bundle"
        code = main([str(run.folder), "--out", str(out), "--max-drop", points, *words])
        return code, out

    return export


def test_a_real_bundle_holds_the_chosen_of_each_format(bounded, capsys):
    code, out = bounded("1", "--recipes", "static_w8a8")
    assert code == 0
    bundle = load_bundle(out)
    assert bundle.default == "static_w8a8"
    assert {artifact.name for artifact in bundle.artifacts} == {
        "static_w8a8",
        "static_w8a8.tflite",
    }
    assert bundle.export["max_drop"] == 0.01
    assert "chosen" in capsys.readouterr().out


def test_where_nothing_else_is_named_float32_is_taken_and_said_so(bounded, capsys):
    code, out = bounded("0", "--recipes", "float32", "--formats", "onnx")
    assert code == 0
    assert load_bundle(out).default == "float32"
    assert "float32: nothing cheaper keeps within 0 points" in capsys.readouterr().out


@pytest.mark.parametrize("points", ["-1", "101", "much"])
def test_a_bound_that_makes_no_sense_is_a_usage_error(points, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["run", "--out", "b", "--max-drop", points])
    assert caught.value.code == 2
