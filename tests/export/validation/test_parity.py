"""How far is told in known numbers, and each bound of a tolerance objects."""

import math

import numpy as np
import pytest

from export.recipes import Tolerance
from export.validation.parity import Parity


def test_parity_on_known_numbers():
    trained = np.array([[0, 4], [1, 0], [0, 1]], np.float32)
    logits = np.array([[0, 3], [1, 0], [2, 1]], np.float32)
    parity = Parity.of(logits, trained, np.array([1, 0, 1]))
    assert (parity.max_difference, parity.mean_difference) == (2, 0.5)
    assert parity.max_relative == 0.5
    assert parity.same_top1 == 2
    assert (parity.accuracy.correct, parity.accuracy.n) == (2, 3)


def test_each_bound_of_a_tolerance_objects():
    trained = np.array([[0, 4], [1, 0], [0, 1]], np.float32)
    targets = np.array([1, 0, 1])
    reference = Parity.of(trained, trained, targets)
    off = Parity.of(trained + np.array([[2, 0]], np.float32), trained, targets)
    assert Tolerance(1.0, 1.0, 0.0).rejection_reason(off, reference) is None
    assert "logits differ" in (Tolerance(0.1, 1.0, 0.0).rejection_reason(off, reference) or "")
    assert "loses" in (Tolerance(1.0, 0.1, 0.0).rejection_reason(off, reference) or "")


def test_the_bounds_themselves_are_allowed():
    trained = np.array([[0, 4], [1, 0]], np.float32)
    targets = np.array([1, 0])
    off = Parity.of(trained + np.array([[5, 0], [0, 0]], np.float32), trained, targets)
    reference = Parity.of(trained, trained, targets)
    assert (off.max_relative, off.accuracy.value) == (1.25, 0.5)
    assert Tolerance(1.25, 0.5, 0.0).rejection_reason(off, reference) is None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_objected_to(value):
    """NaN is above no bound, and where it stands argmax finds it: the answer looks right."""
    trained = np.array([[0, 4], [1, 0]], np.float32)
    targets = np.array([1, 0])
    logits = trained.copy()
    logits[0, 1] = value
    parity = Parity.of(logits, trained, targets)
    assert parity.same_top1 == 2
    rejection_reason = Tolerance(1.0, 1.0, 0.0).rejection_reason(
        parity, Parity.of(trained, trained, targets)
    )
    assert "logits differ" in (rejection_reason or "")


def test_logits_that_are_all_alike_are_no_division_by_zero():
    alike = np.ones((2, 3), np.float32)
    targets = np.zeros(2, np.int64)
    assert Parity.of(alike, alike, targets).max_relative == 0
    assert Parity.of(alike + 1, alike, targets).max_relative > 1


def test_a_parity_as_json_keeps_its_numbers():
    trained = np.array([[0, 4], [1, 0], [0, 1]], np.float32)
    logits = np.array([[0, 3], [1, 0], [2, 1]], np.float32)
    assert Parity.of(logits, trained, np.array([1, 0, 1])).as_json() == {
        "images": 3,
        "max_difference": 2.0,
        "mean_difference": 0.5,
        "max_relative": 0.5,
        "same_top1": 2,
        "top1_agreement": 2 / 3,
        "accuracy": 2 / 3,
        # Margins 4, 1, 1 become 3, 1, -1; two of them are below the largest change of a logit.
        "margin": {"mean": 2.0, "mean_shrink": 1.0, "max_shrink": 2.0, "thin": 2},
        "mcnemar": {"only_trained": 1, "only_artifact": 0, "difference": -1 / 3, "p": 1.0},
    }
