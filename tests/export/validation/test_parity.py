"""How far is measured in known numbers, and each bound of a tolerance rejects."""

import dataclasses
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from export.recipes import Tolerance
from export.validation.parity import measure_parity, rejection_reason
from tinysight.provenance import Margins, Parity
from tinysight.stats import Accuracy, McNemar

TRAINED = np.array([[0, 4], [1, 0], [0, 1]], np.float32)
TARGETS = np.array([1, 0, 1])

WORSE = McNemar(only_first=20, only_second=0, n=512)
"""Of calibration images: enough of them to make any loss significant."""


def against(trained: NDArray[np.float32], logits: NDArray[np.float32]) -> Parity:
    return measure_parity(logits, trained, TARGETS[: len(trained)])


def reason(
    logits: NDArray[np.float32], trained: NDArray[np.float32], relative: float, drop: float
) -> str:
    """Why these logits are rejected within two bounds; empty where they are not."""
    tolerance = Tolerance(relative, drop, golden=0.0)
    return rejection_reason(against(trained, logits), WORSE, tolerance) or ""


def test_parity_on_known_numbers() -> None:
    logits = np.array([[0, 3], [1, 0], [2, 1]], np.float32)
    assert against(TRAINED, logits) == Parity(
        images=3,
        max_difference=2.0,
        mean_difference=0.5,
        max_relative=0.5,
        same_top1=2,
        accuracy=Accuracy(2, 3),
        # Margins 4, 1, 1 become 3, 1, -1; two of them are below the largest change of a logit.
        margins=Margins(mean=2.0, mean_shrink=1.0, max_shrink=2.0, flippable=2),
        mcnemar=McNemar(only_first=1, only_second=0, n=3),
    )


def test_figures_are_rounded_to_four_digits() -> None:
    parity = against(TRAINED, TRAINED + np.array([[1 / 3, 0]], np.float32))
    assert (parity.max_difference, parity.mean_difference) == (0.3333, 0.1667)
    assert parity.max_relative == 0.08333


def test_each_bound_of_a_tolerance_rejects() -> None:
    off = TRAINED + np.array([[2, 0]], np.float32)
    assert reason(off, TRAINED, 1.0, 1.0) == ""
    assert "logits differ" in reason(off, TRAINED, 0.1, 1.0)
    assert "loses" in reason(off, TRAINED, 1.0, 0.1)


def test_the_bounds_themselves_are_allowed() -> None:
    trained = TRAINED[:2]
    off = trained + np.array([[5, 0], [0, 0]], np.float32)
    parity = against(trained, off)
    assert (parity.max_relative, parity.accuracy.value) == (1.25, 0.5)
    assert reason(off, trained, 1.25, 0.5) == ""


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_rejected(value: float) -> None:
    """NaN is above no bound, and where it stands argmax finds it: the answer looks right."""
    logits = TRAINED[:2].copy()
    logits[0, 1] = value
    assert against(TRAINED[:2], logits).same_top1 == 2
    assert "logits differ" in reason(logits, TRAINED[:2], 1.0, 1.0)


def test_logits_of_nan_alone_are_rejected() -> None:
    trained = np.eye(3, dtype=np.float32)
    assert "logits differ" in reason(np.full((3, 3), np.nan, np.float32), trained, 1.0, 1.0)


def test_equal_logits_are_no_division_by_zero() -> None:
    equal = np.ones((2, 3), np.float32)
    assert against(equal, equal).max_relative == 0
    assert against(equal, equal + 1).max_relative > 1


@pytest.mark.parametrize(
    ("validation", "calibration", "rejected"),
    [
        (McNemar(2, 0, 36), McNemar(1, 0, 324), False),  # two flipped pictures are chance
        (McNemar(6, 0, 36), McNemar(0, 0, 324), True),
        (McNemar(2, 0, 36), McNemar(9, 0, 324), True),
        (McNemar(2, 0, 36), McNemar(0, 9, 324), False),
        (McNemar(0, 0, 36), McNemar(30, 0, 324), False),  # nothing is lost on validation images
        (McNemar(15, 0, 1_000), McNemar(0, 0, 512), True),
        (McNemar(30, 15, 1_000), McNemar(0, 0, 512), True),
        (McNemar(10, 0, 1_000), McNemar(0, 0, 512), False),  # the bound itself
    ],
)
def test_a_loss_must_be_significant_where_images_are_few(
    validation: McNemar, calibration: McNemar, rejected: bool
) -> None:
    parity = dataclasses.replace(against(TRAINED, TRAINED), mcnemar=validation)
    reason = rejection_reason(parity, calibration, Tolerance(1.0, 0.01, golden=0.0))
    assert (reason is not None) is rejected
    if reason is not None:
        points = float(reason.split("--max-accuracy-drop ")[1].split()[0])
        accepting = Tolerance(1.0, points / 100, golden=0.0)
        assert rejection_reason(parity, calibration, accepting) is None
