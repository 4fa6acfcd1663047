"""The recipes: a name says what its settings do, and settings without sense are refused."""

import dataclasses
import json
import re

import numpy as np
import pytest

from export.recipes import DEFAULT, RECIPES, Finetuning, Recipe, Tolerance
from export.validation.parity import Parity

TOLERANCE = Tolerance(max_relative=1.0, max_drop=0.01, golden=0.05)
NAME = re.compile(
    r"((?P<weights>pruned|clustered)_)?((?P<how>dynamic|static|qat|mixed)_)?"
    r"(?P<bits>float32|float16|w8|w8a8|w8a16|measured)(_(?P<calibration>entropy|percentile))?"
)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_a_name_is_what_the_scheme_makes_of_the_settings(recipe):
    parts = NAME.fullmatch(recipe.name).groupdict()
    arithmetic = "_".join(part for part in (parts["how"], parts["bits"]) if part)
    assert recipe.arithmetic == arithmetic
    methods = {"pruned": "pruning", "clustered": "clustering"}
    method = "quantization_aware" if parts["how"] == "qat" else methods.get(parts["weights"])
    assert (recipe.finetuning.method if recipe.finetuning else None) == method
    wanted = (parts["calibration"] or "minmax") if parts["how"] in ("static", "mixed") else None
    assert recipe.calibration == wanted


def test_what_is_made_unasked_needs_no_training():
    assert not any(RECIPES[name].finetuning for name in DEFAULT)


def test_settings_are_json_and_tell_recipes_apart():
    texts = [
        json.dumps(recipe.as_json(), sort_keys=True, allow_nan=False) for recipe in RECIPES.values()
    ]
    assert len(set(texts)) == len(RECIPES)


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
def test_a_fine_tuning_that_makes_no_sense_is_refused(settings, reason):
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
def test_a_recipe_that_makes_no_sense_is_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        dataclasses.replace(RECIPES["static_w8a8"], **changes)


def test_a_recipe_is_one_frozen_object():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECIPES["float32"].name = "other"
    assert isinstance(hash(RECIPES["qat_w8a8"]), int)
    assert Recipe("float32", "", "float32", TOLERANCE).formats == ("onnx", "tflite")


def parity(logits, trained):
    return Parity.of(np.array(logits), np.array(trained), np.zeros(len(trained), np.int64))


def test_nan_is_objected_to():
    trained = np.eye(3, dtype=np.float32)
    broken = np.full((3, 3), np.nan, np.float32)
    rejection_reason = TOLERANCE.rejection_reason(parity(broken, trained), parity(trained, trained))
    assert "differ" in rejection_reason
