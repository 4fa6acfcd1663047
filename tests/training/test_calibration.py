"""Temperature, calibration error and abstention: against known truth, and by their properties."""

import json
import math
from random import Random

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
    choose_abstention,
    energy_scores,
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


@given(
    st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 2.5]), min_size=1, max_size=130),
    st.randoms(use_true_random=False),
)
def test_the_energy_score_answers_95_percent_and_no_more_than_it_must(
    values: list[float], random: Random
) -> None:
    """Whatever the ties, and however few images: the largest score that does, of all of them."""
    scores = np.array(values)
    correct = np.array([random.random() < 0.8 for _ in values])
    chosen = choose_abstention(scores, correct)
    answered = scores >= chosen.min_energy_score
    assert 100 * answered.sum() >= 95 * len(values)
    largest = max(one for one in values if 100 * (scores >= one).sum() >= 95 * len(values))
    assert chosen.min_energy_score <= largest <= chosen.min_energy_score + 1.001e-4
    assert chosen.coverage == pytest.approx(answered.mean(), abs=5.1e-5)
    assert chosen.accuracy == pytest.approx(correct[answered].mean(), abs=5.1e-5)


@pytest.mark.parametrize(("n", "unanswered"), [(1, 0), (19, 0), (20, 1), (39, 1), (40, 2)])
def test_of_few_images_none_or_few_are_unanswered(n: int, unanswered: int) -> None:
    scores = np.linspace(0.25, n - 0.75, n)
    chosen = choose_abstention(scores, np.ones(n, np.bool_))
    assert chosen.min_energy_score == pytest.approx(unanswered + 0.25, abs=1.001e-4)
    assert chosen.coverage == pytest.approx(1 - unanswered / n, abs=5e-5)


def test_ties_are_answered_together() -> None:
    """All images but one have one score; it is not the one that 5 % would leave out."""
    scores = np.array([3.0] * 99 + [4.0])
    assert choose_abstention(scores, scores == 4).accuracy == 0.01
    assert choose_abstention(scores, scores == 4).coverage == 1.0


def test_it_is_rounded_down_and_never_up() -> None:
    for score in (2.00009, 2.0001, -2.00001, 3e38, -3e38):
        chosen = choose_abstention(np.full(1, score, np.float64), np.ones(1, np.bool_))
        assert chosen.min_energy_score <= score
        assert chosen.min_energy_score == pytest.approx(score, rel=1e-12, abs=1e-4)


@given(
    st.lists(st.floats(-(2.0**127), 2.0**127, width=32), min_size=2, max_size=12),
    st.floats(0.05, 20.0),
)
def test_the_energy_score_lies_just_above_the_largest_logit(
    row: list[float], temperature: float
) -> None:
    """Within ln n of it, for logits as large as there are."""
    (score,) = energy_scores(np.array([row], np.float32), temperature)
    highest = max(row) / temperature
    assert highest * (1 - math.copysign(1e-12, highest)) <= score
    assert score <= highest + math.log(len(row)) + abs(highest) * 1e-12


@given(st.integers(0, 1000))
def test_coverage_falls_along_the_curve(seed: int) -> None:
    random = np.random.default_rng(seed)
    confidence = random.random(300)
    coverage = [
        point.coverage for point in threshold_curve(confidence, random.random(300) < confidence)
    ]
    assert coverage[0] == 1
    assert (np.diff(coverage) <= 0).all()


def test_a_model_that_guesses_answers_as_many_all_the_same() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (1000, 5)).astype(np.float32)
    confidence = fit_confidence(logits, random.integers(0, 5, 1000))
    assert confidence.abstention.coverage == pytest.approx(0.95)
    assert confidence.abstention.accuracy == pytest.approx(0.2, abs=0.05)


def test_without_an_answer_there_is_no_accuracy() -> None:
    confidence = fit_confidence(*_drawn(1000))
    record = confidence.evaluate(np.full((10, 5), -50, np.float32), np.zeros(10, np.int64))
    assert (record.coverage, record.accuracy) == (0.0, None)


def test_it_holds_on_images_that_chose_nothing() -> None:
    confidence = fit_confidence(*_drawn(20_000, 3.0))
    record = confidence.evaluate(*_drawn(20_000, 3.0, seed=1))
    assert (record.n, record.bins) == (20_000, 15)
    assert record.error_before > 0.1
    assert record.error < 0.015
    assert record.coverage == pytest.approx(0.95, abs=0.01)
    assert record.accuracy == pytest.approx(confidence.abstention.accuracy, abs=0.01)


def test_it_is_read_back_from_json() -> None:
    abstention = fit_confidence(*_drawn(2_000)).abstention
    content = json.loads(json.dumps(to_json(abstention), allow_nan=False))
    assert from_json(Abstention, content) == abstention
    assert abstention.min_energy_score == round(abstention.min_energy_score, 4)
    assert "95%" in abstention.rule
