"""Recipes refuse what makes no sense, and the models are what they claim to be."""

import dataclasses

import pytest

from training.recipes import RECIPES, Recipe, recipe_of


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"val_fraction": 0.0},
        {"val_fraction": 1.0},
        {"seed": -1},
        {"split_seed": -1},
        {"alternate_flips": True},
        {"average": 1.0},
        {"temperature": 0.0},
        {"teacher_weight": 1.1},
        {"copies": 0},
        {"mixed": 0.5},  # without a teacher's whole weight
        {"mixed": 1.1, "teacher_weight": 1.0},
        {"small_epochs": 11},
        {"label_smoothing": 1.0},
        {"l2": -1e-4},
        {"cutout": 1.0},
    ],
)
def test_senseless_settings_are_refused(change):
    with pytest.raises(ValueError, match=r"must"):
        Recipe("baseline", **change)


def test_the_baseline_is_the_notebooks_recipe():
    recipe = RECIPES["baseline"]
    assert (recipe.epochs, recipe.batch_size, recipe.optimizer) == (10, 32, "adam")
    assert (recipe.learning_rate, recipe.val_fraction, recipe.precision) == (1e-3, 0.2, "float32")
    assert not any([recipe.augment, recipe.label_smoothing, recipe.l2, recipe.small_epochs])
    assert (recipe.teacher, recipe.ema_decay) == (None, 0)


def test_a_record_of_before_a_setting_existed_means_the_same():
    older = RECIPES["baseline"].as_json()
    for newer in ("split_seed", "alternate_flips", "average", "teacher", "copies"):
        del older[newer]
    assert Recipe(**older) == RECIPES["baseline"]


def test_only_a_taught_run_goes_round_in_copies():
    alone, student_recipe = (
        Recipe("baseline", teacher_views=3),
        Recipe("baseline", teacher_views=3, teacher="a hash"),
    )
    assert [alone.copy(epoch) for epoch in range(5)] == [0, 1, 2, 3, 4]
    assert [student_recipe.copy(epoch) for epoch in range(5)] == [0, 1, 2, 0, 1]


def test_a_recipe_survives_json():
    for recipe in RECIPES.values():
        assert Recipe(**recipe.as_json()) == recipe


def test_a_stack_of_ones_own_is_trained_as_edge_s():
    recipe = recipe_of("8s2-16s2")
    assert recipe.model == "8s2-16s2"
    assert dataclasses.replace(recipe, model="edge_s") == RECIPES["edge_s"]
    assert recipe_of("baseline") is RECIPES["baseline"]
    with pytest.raises(ValueError, match="no stack"):
        recipe_of("baselin")
