"""Temperature, calibration error and abstention: against known truth, and by their properties."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinysight.bundle import Abstention
from tinysight.records import from_json, to_json

pytest.importorskip("scipy")

from training.calibration import (
    MAX_TEMPERATURE,
    calibration_error,
    choose_threshold,
    fit_confidence,
    fit_temperature,
    threshold_curve,
)


def _drawn(
    n: int, scale: float = 1.0, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits, and targets drawn from their softmax: calibrated, until the logits are scaled."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (n, 5))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = (probabilities.cumsum(axis=1) > random.random((n, 1))).argmax(axis=1)
    return (scale * logits).astype(np.float32), targets


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_the_scale_of_the_logits(scale: float) -> None:
    assert fit_temperature(*_drawn(20_000, scale)) == pytest.approx(scale, rel=0.03)


def test_a_model_that_is_always_right_has_the_smallest_temperature() -> None:
    logits, _ = _drawn(100)
    temperature = fit_temperature(logits, logits.argmax(axis=1))
    assert temperature == pytest.approx(1 / MAX_TEMPERATURE, rel=1e-3)


def test_the_calibration_error_by_hand() -> None:
    """Two bins: one image in the first, 0.4 against 1; three in the second, 0.8 against 2 / 3."""
    error = calibration_error(
        np.array([0.4, 0.8, 0.8, 0.8]), np.array([True, True, True, False]), 2
    )
    assert error == pytest.approx(0.25 * 0.6 + 0.75 * (0.8 - 2 / 3))


def test_bins_are_closed_above() -> None:
    """0.5 and 0.5 + tiny lie in different bins of two; in one, their gaps would cancel out."""
    error = calibration_error(np.array([0.5, 0.5 + 1e-9]), np.array([True, False]), 2)
    assert error == pytest.approx(0.5)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1), st.integers(1, 30))
def test_the_calibration_error_lies_between_the_whole_gap_and_one(
    rows: list[tuple[float, bool]], bins: int
) -> None:
    """One bin gives the difference of the means, and finer bins never less than that."""
    confidence, right = np.array([c for c, _ in rows]), np.array([r for _, r in rows])
    whole = calibration_error(confidence, right, 1)
    assert whole == pytest.approx(abs(confidence.mean() - right.mean()))
    assert whole - 1e-12 <= calibration_error(confidence, right, bins) <= 1 + 1e-12


def test_the_threshold_is_the_smallest_that_keeps_the_rule() -> None:
    logits, targets = _drawn(20_000)
    confidence = np.exp(logits).max(axis=1) / np.exp(logits).sum(axis=1)
    right = logits.argmax(axis=1) == targets
    chosen = choose_threshold(confidence, right)
    assert chosen is not None
    given = confidence >= chosen.threshold
    assert chosen.coverage == pytest.approx(given.mean(), abs=5e-5)
    assert chosen.accuracy == pytest.approx(right[given].mean(), abs=5e-5)
    assert right[given].mean() >= 0.95 > right[confidence >= chosen.threshold - 0.01].mean()


def test_a_lucky_few_choose_no_threshold() -> None:
    """The one image with the highest confidence is right: that is less than 1 % of all."""
    confidence = np.linspace(0, 0.99, 1000)
    right = np.arange(1000) == 999
    assert choose_threshold(confidence, right) is None


@given(st.integers(0, 1000))
def test_coverage_falls_along_the_curve(seed: int) -> None:
    random = np.random.default_rng(seed)
    confidence = random.random(300)
    coverage = [
        point.coverage for point in threshold_curve(confidence, random.random(300) < confidence)
    ]
    assert coverage[0] == 1
    assert (np.diff(coverage) <= 0).all()


def test_a_model_that_guesses_has_no_threshold() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (1000, 5)).astype(np.float32)
    confidence = fit_confidence(logits, random.integers(0, 5, 1000))
    assert confidence.abstention is None
    record = confidence.evaluate(logits, random.integers(0, 5, 1000))
    assert (record.coverage, record.accuracy) == (None, None)


def test_it_holds_on_images_that_chose_nothing() -> None:
    confidence = fit_confidence(*_drawn(20_000, 3.0))
    record = confidence.evaluate(*_drawn(20_000, 3.0, seed=1))
    assert (record.n, record.bins) == (20_000, 15)
    assert record.error_before > 0.1
    assert record.error < 0.015
    assert record.accuracy == pytest.approx(0.95, abs=0.01)
    assert record.coverage is not None
    assert 0 < record.coverage < 1


def test_it_is_read_back_from_json() -> None:
    abstention = fit_confidence(*_drawn(2_000)).abstention
    assert abstention is not None
    content = json.loads(json.dumps(to_json(abstention), allow_nan=False))
    assert from_json(Abstention, content) == abstention
    assert abstention.threshold in np.round(np.arange(100) / 100, 2)
    assert "95%" in abstention.rule
