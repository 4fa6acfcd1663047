"""The study of transfer: what is drawn, what is trained, and its figures."""

import json
import math

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from benchmarks.cli import main
from benchmarks.studies.transfer import Row, Setting, draw, scratch
from tinysight.errors import TinysightError
from training.data import load_dataset
from training.recipes import recipe_of


def test_the_same_number_of_each_class_is_drawn_and_no_test_image() -> None:
    dataset = load_dataset("digits")
    first, again, other = (draw(dataset, 20, seed) for seed in (0, 0, 1))
    both = np.concatenate([first.train, first.val])
    assert np.bincount(dataset.targets[both]).tolist() == [20] * 10
    assert len(first.val) == 20
    assert set(first.test) == set(dataset.parts["test"])
    assert np.array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)
    with pytest.raises(TinysightError, match=r"only 1.. training images of"):
        draw(dataset, 10_000, 0)


def test_the_interval_is_students() -> None:
    row = Row(Setting("digits", 20, "scratch"), (0.4, 0.5, 0.6))
    assert row.mean == pytest.approx(0.5)
    assert row.interval == pytest.approx((0.5 - 0.248414, 0.5 + 0.248414), abs=1e-5)
    assert Row(row.setting, (0.4,)).interval is None


def test_from_scratch_an_epoch_has_several_steps() -> None:
    recipe = scratch(recipe_of("edge_m"), 180)
    assert math.ceil(180 / recipe.batch_size) == 12
    assert recipe.epochs == recipe_of("edge_m").epochs


def test_weights_are_worth_something_on_digits(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["transfer", "digits", "--images", "10", "--seeds", "1", "--model", "edge_s"]
    assert main([*command, "--starts", "pretrained", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["setting"] == {"data": "digits", "images": 10, "start": "pretrained"}
    assert row["mean"] > 0.7
