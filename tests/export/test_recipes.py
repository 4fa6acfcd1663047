"""The recipes: a name says what its settings do, and settings without sense are refused."""

import dataclasses
import re
from typing import Any

import pytest

from export.recipes import DEFAULT, RECIPES, Finetuning, Recipe, Tolerance

TOLERANCE = Tolerance(max_relative=1.0, max_accuracy_drop=0.01, golden=0.05)
NAME = re.compile(
    r"((?P<weights>pruned|clustered)_)?((?P<how>dynamic|static|qat|mixed)_)?"
    r"(?P<bits>float32|float16|w8|w8a8|w8a16|measured)(_(?P<calibration>entropy|percentile))?"
)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_a_name_is_what_the_scheme_makes_of_the_settings(recipe: Recipe) -> None:
    match = NAME.fullmatch(recipe.name)
    assert match is not None
    parts = match.groupdict()
    arithmetic = "_".join(part for part in (parts["how"], parts["bits"]) if part)
    assert recipe.arithmetic == arithmetic
    methods = {"pruned": "pruning", "clustered": "clustering"}
    expected = (
        "quantization_aware" if parts["how"] == "qat" else methods.get(parts["weights"] or "")
    )
    assert (recipe.finetuning.method if recipe.finetuning else None) == expected
    calibration = (
        (parts["calibration"] or "minmax") if parts["how"] in ("static", "mixed") else None
    )
    assert recipe.calibration == calibration


def test_what_is_made_unasked_needs_no_training() -> None:
    assert not any(RECIPES[name].finetuning for name in DEFAULT)


def test_settings_tell_recipes_apart() -> None:
    decisive = {
        (recipe.arithmetic, recipe.finetuning, recipe.calibration) for recipe in RECIPES.values()
    }
    assert len(decisive) == len(RECIPES)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"method": "pruning"}, "sparsity"),
        ({"method": "pruning", "sparsity": 1.0}, "sparsity"),
        ({"method": "clustering", "sparsity": 0.5, "clusters": 4}, "sparsity"),
        ({"method": "clustering", "clusters": 1}, "clusters"),
        ({"method": "quantization_aware", "clusters": 4}, "clusters"),
        ({"method": "quantization_aware", "epochs": 0}, "epochs"),
        ({"method": "quantization_aware", "epochs": float("inf")}, "epochs"),
        ({"method": "quantization_aware", "learning_rate": 0.0}, "rate"),
    ],
)
def test_a_fine_tuning_that_makes_no_sense_is_refused(
    settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        Finetuning(**settings)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"calibration": None}, "calibration"),
        ({"arithmetic": "float32"}, "calibration"),
        ({"arithmetic": "qat_w8a8", "calibration": None}, "quantization-aware"),
        ({"finetuning": Finetuning("quantization_aware")}, "quantization-aware"),
        ({"formats": ()}, "formats"),
        ({"formats": ("pt",)}, "formats"),
    ],
)
def test_a_senseless_recipe_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        dataclasses.replace(RECIPES["static_w8a8"], **changes)


def test_a_recipe_is_one_frozen_object() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECIPES["float32"].name = "other"  # type: ignore[misc]
    assert isinstance(hash(RECIPES["qat_w8a8"]), int)
    assert Recipe("float32", "", "float32", TOLERANCE).formats == ("onnx", "tflite")
