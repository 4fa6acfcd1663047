"""The bundle in the wheel: whole, small, int8, and it answers as it did where it was made."""

from pathlib import Path

import numpy as np
import pytest

from tinysight import Classifier, load_bundle
from tinysight.cli import main

LABELS = "airplane automobile bird cat deer dog frog horse ship truck"


def test_it_knows_the_ten_classes_of_cifar10() -> None:
    bundle = load_bundle()
    assert bundle.labels == tuple(LABELS.split())
    assert (bundle.height, bundle.width) == (32, 32)


def test_it_passes_its_own_verification(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify"]) == 0
    output = capsys.readouterr().out
    assert "golden answers differ by" in output
    assert "FAIL" not in output


def test_it_is_small() -> None:
    folder = load_bundle().folder
    assert folder is not None
    assert sum(file.stat().st_size for file in folder.iterdir()) < 120_000


def test_it_holds_nothing_but_what_it_describes() -> None:
    bundle = load_bundle()
    assert isinstance(bundle.folder, Path)
    described = {artifact.file for artifact in bundle.artifacts} | {"bundle.json"}
    assert {file.name for file in bundle.folder.iterdir()} == described


def test_its_default_is_int8() -> None:
    """83,030 weights in about as many bytes: as float32 they would need four times that."""
    bundle = load_bundle()
    artifact = bundle.artifact()
    assert artifact.recipe == "static_w8a8"
    assert artifact.bytes < 1.25 * bundle.training["parameters"]
    assert b"QLinearConv" in bundle.read(artifact) or b"QuantizeLinear" in bundle.read(artifact)


def test_it_states_its_accuracy_on_all_test_images() -> None:
    accuracy = load_bundle().artifact().accuracy
    assert accuracy is not None
    assert accuracy["n"] == 10_000
    assert accuracy["value"] == accuracy["correct"] / accuracy["n"]
    assert accuracy["interval"][0] < accuracy["value"] < accuracy["interval"][1]


def test_it_ranks_all_classes() -> None:
    answer = Classifier.load().classify(np.zeros((32, 32, 3), dtype=np.uint8), top=99)
    assert {label for label, _ in answer.top} == set(LABELS.split())
    assert sum(probability for _, probability in answer.top) == pytest.approx(1)
