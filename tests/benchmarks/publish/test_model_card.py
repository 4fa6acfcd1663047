"""A bundle's card says what its own figures and answers are, and commands that work."""

import dataclasses
import re
import shlex

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("tensorflow")

from benchmarks.cli import main
from benchmarks.publish.model_card import commands
from export.cli import main as export
from tinysight import Classifier, load_bundle
from training.cli import main as train
from training.cli import parser as training_parser
from training.data import load_dataset
from training.recipes import RECIPES


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("card")
    teacher, student, out = (folder / name for name in ("teacher", "student", "bundle"))
    assert train(["run", "baseline", "--epochs", "2", "--out", str(teacher)]) == 0
    words = ["distill", "baseline", "--teacher", str(teacher), "--epochs", "3", "--seed", "7"]
    assert train([*words, "--copies", "2", "--out", str(student)]) == 0
    words = ["build", str(student), "--recipes", "static_w8a8", "--formats", "onnx", "--out", str(out)]
    assert export(words) == 0
    assert main(["card", str(out), "--data", "digits"]) == 0
    return out


def test_the_classes_are_those_of_the_test_images(bundle):
    text = (bundle / "card.md").read_text()
    dataset = load_dataset("digits")
    test = dataset.parts["test"]
    right = Classifier.load(bundle).logits(dataset.images[test]).argmax(1) == dataset.targets[test]
    assert f"{right.mean():.2%} [" in text
    for index, label in enumerate(dataset.labels):
        own = dataset.targets[test] == index
        assert f"| {label} | {right[own].mean():.2%} [" in text
        assert f"of {own.sum()} |" in text
    assert np.isclose(load_bundle(bundle).training["macs"], 4_509_032)


def test_the_commands_are_read_by_the_stages(bundle):
    from export.cli import parser as exporting

    parsers = {"training": training_parser(), "export": exporting()}
    lines = commands(load_bundle(bundle))
    assert [re.match(r"python -m (\w+ \w+)", line)[1] for line in lines[:2]] == [
        "training run",
        "training distill",
    ]
    for line in lines:
        _, _, stage, *words = shlex.split(line)
        parsers[stage].parse_args(words)
    assert "--seed 7" in lines[1]
    assert "--teacher runs/teacher_1" in lines[1]
    assert "--epochs 2" in lines[0]


def test_what_means_nothing_without_a_teacher_is_no_option_of_run(bundle):
    made = load_bundle(bundle)
    (teacher,) = made.training["teachers"]
    recipe = {**teacher["recipe"], "copies": 5, "temperature": 3.0}
    changed = {**made.training, "teachers": [{**teacher, "recipe": recipe}]}
    assert commands(dataclasses.replace(made, training=changed)) == commands(made)


def test_a_teachers_own_teachers_are_trained_first_and_once(bundle):
    made = load_bundle(bundle)
    (first,) = made.training["teachers"]
    changes = {"epochs": 3, "optimizer": "muon", "l2": 0.0, "teacher": first["sha256"]}
    recipe = {**RECIPES["edge_s"].as_json(), **changes}
    second = {**first, "sha256": "2" * 64, "recipe": recipe, "teachers": [first]}
    both = {**made.training, "teachers": [first, second]}
    alone = {**made.training, "teachers": [second]}
    for changed, teachers in (
        (both, "--teacher runs/teacher_1 runs/teacher_2"),
        (alone, "--teacher runs/teacher_2"),
    ):
        lines = commands(dataclasses.replace(made, training=changed))
        assert lines[0] == commands(made)[0]
        assert lines[1].startswith("python -m training distill edge_s --teacher runs/teacher_1 ")
        assert lines[1].endswith(" --out runs/teacher_2")
        options = training_parser().parse_args(shlex.split(lines[1])[3:])
        assert (options.epochs, options.optimizer, options.l2) == (3, "muon", 0.0)
        assert f" {teachers} " in lines[2]
        assert len(lines) == 4


def test_a_card_is_of_the_bundles_own_data(capsys):
    assert main(["card", "tests/tiny/bundle", "--data", "digits"]) == 1
    assert "is not what" in capsys.readouterr().err
