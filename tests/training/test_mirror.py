"""Flipping is off where the mirror shows something else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from training.api import prepare
from training.data import Dataset, load_dataset
from training.mirror import differs_in_mirror, mirror_test
from training.pretrained import read_pretrained


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """Twenty of each class; all others test."""
    whole = load_dataset("digits")
    train = np.concatenate([np.flatnonzero(whole.targets == i)[:20] for i in range(10)])
    rest = np.setdiff1d(np.arange(len(whole.targets)), train)
    return replace(whole, parts={"train": np.sort(train), "test": rest})


def test_digits_differ_in_the_mirror(digits: Dataset) -> None:
    paired = mirror_test(read_pretrained("edge_s"), digits)
    assert paired is not None
    assert paired.n == 200
    assert paired.only_first > 2 * paired.only_second


def test_symmetric_pictures_do_not(digits: Dataset) -> None:
    """Each digit beside its own mirror, which is the same picture in the mirror."""
    halves = np.concatenate([digits.images[:, :, ::2], digits.images[:, :, -2::-2]], axis=2)
    symmetric = replace(digits, images=halves)
    assert np.array_equal(halves, halves[:, :, ::-1])
    assert not differs_in_mirror(read_pretrained("edge_s"), symmetric)


def test_one_picture_of_a_class_says_nothing(digits: Dataset) -> None:
    train = digits.parts["train"]
    few = np.append(train[digits.targets[train] != 3], train[digits.targets[train] == 3][:1])
    one = replace(digits, parts={"train": np.sort(few), "test": digits.parts["test"]})
    assert mirror_test(read_pretrained("edge_s"), one) is None


def test_a_training_from_weights_follows_it_unless_told(digits: Dataset, tmp_path: Path) -> None:
    found = prepare("edge_s", digits, tmp_path, start="edge_s").recipe
    assert (found.augment, found.flip, found.alternate_flips) == (True, False, False)
    assert prepare("edge_s", digits, tmp_path, start="edge_s", flip=True).recipe.flip
    assert prepare("edge_s", digits, tmp_path).recipe.flip  # from scratch: as the recipe says
