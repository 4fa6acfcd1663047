"""Recipes refuse what makes no sense, and their options are read back by the command line."""

import dataclasses
import subprocess
import sys
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysight.records import from_json, to_json
from training.cli import main, parser
from training.commands.jobs import recipe_from
from training.conv_stack import STACKS
from training.recipe_options import Interval, Option, options_of
from training.recipes import (
    DISTILL_ONLY,
    RECIPES,
    RUN_ONLY,
    SPLIT_OF_TEACHER,
    WITHOUT_L2,
    Recipe,
    finetuned,
    options,
    recipe_of,
    with_settings,
)

STACK = "8s2-16s2"


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"val_fraction": 0.0},
        {"val_fraction": 1.0},
        {"seed": -1},
        {"split_seed": -1},
        {"alternate_flips": True},
        {"alternate_flips": True, "augment": True, "flip": False},
        {"ema_decay": 1.0},
        {"temperature": 0.0},
        {"teacher_weight": 1.1},
        {"teacher_views": 0},
        {"mixup": 0.5},  # without the teacher's whole weight
        {"mixup": 1.1, "teacher_weight": 1.0},
        {"label_smoothing": 1.0},
        {"l2": -1e-4},
        {"cutout": 1.0},
        {"cutout": 0.25},  # without augmentation
        {"mixup": 0.5, "teacher_weight": 1.0, "teacher": "a hash"},  # without augmentation
    ],
)
def test_senseless_settings_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must"):
        Recipe("baseline", **change)


@pytest.mark.parametrize(
    ("model", "change"),
    [
        ("baseline", {"l2": 1e-4}),
        ("baseline_distilled", {"l2": 1e-4}),
        ("vgg16_frozen", {"l2": 1e-4}),
        ("vgg16_frozen", {"augment": True}),
        ("vgg16_frozen", {"outliers": 0.25}),
    ],
)
def test_what_a_model_does_not_have_is_refused(model: str, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=model if "outliers" not in change else "features"):
        Recipe(model, **change)


def test_without_augmentation_there_is_nothing_that_needs_it() -> None:
    for name, recipe in RECIPES.items():
        plain = with_settings(recipe, {"augment": False})
        assert not any([plain.cutout, plain.mixup, plain.alternate_flips]), name
    with pytest.raises(ValueError, match="cutout"):
        with_settings(RECIPES["edge_m"], {"augment": False, "cutout": 0.25})


def test_the_baseline_is_the_notebooks_recipe() -> None:
    recipe = RECIPES["baseline"]
    assert (recipe.epochs, recipe.batch_size, recipe.optimizer) == (10, 32, "adam")
    assert (recipe.learning_rate, recipe.val_fraction, recipe.precision) == (1e-3, 0.2, "float32")
    assert not any([recipe.augment, recipe.label_smoothing, recipe.l2, recipe.cutout])
    assert (recipe.teacher, recipe.ema_decay) == (None, 0)


def test_only_a_student_cycles_through_views() -> None:
    alone = Recipe("baseline", teacher_views=3)
    student = dataclasses.replace(alone, teacher="a hash")
    assert [alone.view(epoch) for epoch in range(5)] == [0, 1, 2, 3, 4]
    assert [student.view(epoch) for epoch in range(5)] == [0, 1, 2, 0, 1]


def test_a_recipe_survives_json() -> None:
    for recipe in RECIPES.values():
        assert from_json(Recipe, to_json(recipe)) == recipe


def test_a_stack_has_the_recipe_of_edge_s() -> None:
    recipe = recipe_of(STACK)
    assert recipe.model == STACK
    assert dataclasses.replace(recipe, model="edge_s") == RECIPES["edge_s"]
    assert recipe_of("baseline") is RECIPES["baseline"]
    with pytest.raises(ValueError, match="baselin"):
        recipe_of("baselin")


@pytest.mark.parametrize(
    ("interval", "inside", "outside", "text"),
    [
        (Interval(1), [1, 2, 10**400], [0, float("inf")], "at least 1"),
        (Interval(0, low_open=True), [1e-300], [0.0, float("nan")], "above 0"),
        (Interval(0, 1), [0, 1], [-1e-9, 1.1], "in [0, 1]"),
        (Interval(0, 1, high_open=True), [0, 0.99], [1.0], "in [0, 1)"),
        (Interval(0, 1, low_open=True, high_open=True), [0.5], [0.0, 1.0], "in (0, 1)"),
    ],
)
def test_an_interval_says_what_it_holds(
    interval: Interval, inside: list[float], outside: list[float], text: str
) -> None:
    assert all(value in interval for value in inside)
    assert not any(value in interval for value in outside)
    assert str(interval) == text


def test_every_field_has_an_option_or_follows_from_other_arguments() -> None:
    fields = {field.name for field in dataclasses.fields(Recipe)}
    with_option = {field.name for field, _ in options_of(Recipe)}
    assert fields - with_option == {"model", "teacher", "split_seed", "pretrained", "unknown"}


def _values(field: "dataclasses.Field[Any]", option: Option) -> st.SearchStrategy[Any]:
    if field.type in (bool, bool | None):
        return st.booleans()
    if get_origin(field.type) is Literal:
        return st.sampled_from(get_args(field.type))
    interval = option.interval
    assert interval is not None
    if field.type is int:
        return st.integers(int(interval.low), 10**9)
    return st.floats(
        interval.low,
        min(interval.high, 1e6),
        exclude_min=interval.low_open,
        exclude_max=interval.high_open,
    )


@st.composite
def recipes(draw: st.DrawFn, *, distilled: bool) -> Recipe:
    """Any recipe that `run` or `distill` can be asked for."""
    names = RECIPES.keys() - (RUN_ONLY if distilled else DISTILL_ONLY)
    usual = recipe_of(draw(st.sampled_from([*sorted(names), STACK])))
    changes = {
        field.name: draw(_values(field, option))
        for field, option in options_of(Recipe)
        if (distilled or not option.distillation) and draw(st.booleans())
    }
    if usual.model not in (*STACKS, STACK):
        changes.pop("branches", None)
    if usual.model in RUN_ONLY:  # trained on features
        changes.pop("outliers", None)
        changes["augment"] = changes["alternate_flips"] = False
    if changes.get("alternate_flips", usual.alternate_flips):
        changes |= {"augment": True, "flip": True}
    if changes.get("layer_decay", usual.layer_decay) < 1:
        changes["optimizer"] = "sgd"
    if not usual.model.startswith("edge") and usual.model != STACK:
        changes["branches"] = False
    if usual.model in WITHOUT_L2:
        changes.pop("l2", None)
    if not changes.get("augment", usual.augment):
        changes |= {"cutout": 0.0, "mixup": 0.0}
    if distilled:
        if changes.get("mixup", usual.mixup):
            changes["teacher_weight"] = 1.0
        changes |= {"teacher": "a hash", "split_seed": draw(st.integers(0, 9))}
    return dataclasses.replace(usual, **changes)


@given(recipes(distilled=False))
def test_the_options_of_a_recipe_are_read_back_by_run(recipe: Recipe) -> None:
    words = ["run", recipe.model, "--out", "x", *options(recipe)]
    assert recipe_from(parser().parse_args(words)) == recipe


@given(recipes(distilled=True))
def test_the_options_of_a_student_are_read_back_by_distill(recipe: Recipe) -> None:
    words = ["distill", recipe.model, "--out", "x", "--teacher", "t", *options(recipe)]
    split = recipe_of(recipe.model).val_fraction  # the teachers', which is no option
    expected = dataclasses.replace(recipe, teacher=None, split_seed=None, val_fraction=split)
    assert recipe_from(parser().parse_args(words)) == expected


def test_without_a_teacher_the_distillation_options_are_not_printed() -> None:
    recipe = dataclasses.replace(RECIPES["baseline"], temperature=3.0, seed=4)
    assert options(recipe) == ["--seed", "4"]
    student = dataclasses.replace(recipe, teacher="a hash")
    assert options(student) == ["--seed", "4", "--temperature", "3.0"]
    assert options(RECIPES["edge_m"]) == []


def test_a_value_out_of_range_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["run", "baseline", "--out", "x", "--epochs", "0"])
    assert caught.value.code == 2
    assert "epochs must be at least 1, not 0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["run", "baseline", "--out", "x", "--mixup", "0.5"])
    assert "unrecognized arguments: --mixup" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "distill", "crossval", "compare"])
def test_help_needs_no_tensorflow_and_says_every_default(command: str) -> None:
    code = (
        "import sys; from training.cli import main\n"
        f"try: main(['{command}', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'tf_keras', 'sklearn', 'scipy', 'matplotlib', 'rich'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    if command == "compare":
        return
    for field, option in options_of(Recipe):
        shown = f"--{field.name.replace('_', '-')}" in text
        decided = command != "run" and field.name in SPLIT_OF_TEACHER  # or by the folds
        assert shown == (not decided and (command == "distill" or not option.distillation))
        if shown:
            after = text.partition(f"{option.help} (")[2]
            assert after.startswith(
                f"{option.interval}; default: " if option.interval else "default"
            )


@pytest.mark.parametrize("images", [1, 60, 100, 1_000, 50_000])
def test_fine_tuning_has_steps_enough_with_any_number_of_images(images: int) -> None:
    recipe = finetuned(RECIPES["edge_m"], images, "a hash")
    steps = recipe.epochs * -(-images // recipe.batch_size)
    assert 40 <= steps <= 4_000
    assert recipe.learning_rate == pytest.approx(
        finetuned(RECIPES["edge_m"], 100, "a hash").learning_rate * recipe.batch_size / 16
    )
    assert options(recipe, images) == []
    assert options(dataclasses.replace(recipe, batch_size=7), images) == ["--batch-size", "7"]


def test_no_augment_is_possible_where_weights_are_started_from() -> None:
    recipe = with_settings(finetuned(RECIPES["edge_m"], 100, "a hash"), {"augment": False})
    assert (recipe.augment, recipe.alternate_flips) == (False, False)


def test_without_flips_images_are_still_shifted() -> None:
    recipe = with_settings(finetuned(RECIPES["edge_m"], 100, "a hash"), {"flip": False})
    assert (recipe.augment, recipe.flip, recipe.alternate_flips) == (True, False, False)
