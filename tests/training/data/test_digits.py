"""The data set that needs no network."""

from pathlib import Path

import numpy as np
import pytest

from training.data import load_dataset

pytest.importorskip("sklearn")


def test_the_digits_are_all_there(cache: Path) -> None:
    data = load_dataset("digits", cache=cache)
    assert data.labels == tuple("0123456789")
    assert data.images.shape == (1797, 32, 32, 3)
    assert (data.name, data.source) == ("digits", "digits")
    assert "CC BY 4.0" in data.attribution
    assert "held out" in data.notes[0]
    assert sum(len(indices) for indices in data.parts.values()) == 1797
    assert len(data.parts["test"]) == 360


def test_the_digits_are_grey_and_enlarged_from_8_by_8(cache: Path) -> None:
    from sklearn.datasets import load_digits

    data = load_dataset("digits", size=(8, 8), cache=cache)
    original = load_digits()
    assert abs(data.images[..., 0] / 255 * 16 - original.images).max() < 0.04
    assert (data.images[..., :1] == data.images).all()
    np.testing.assert_array_equal(data.targets, original.target)


def test_a_size_gets_an_entry_of_its_own(cache: Path) -> None:
    assert load_dataset("digits", size=(8, 8), cache=cache).images.shape[1:] == (8, 8, 3)
    assert load_dataset("digits", size=(10, 12), cache=cache).images.shape[1:] == (10, 12, 3)
