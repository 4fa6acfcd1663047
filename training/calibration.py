"""Confidence that means something: how probable an answer is, and when to give none.

Everything is chosen on validation images; test images only show what came of it. Logits are
float32 (n, classes) and targets class indices (n,) throughout.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

Logits = NDArray[np.float32]
Targets = NDArray[np.int64]

BINS = 15
TARGET = 0.95
"""So many of the answers that are given shall be right."""
MIN_COVERAGE = 0.01
"""A threshold that leaves fewer answers than this says nothing of how many of them are right."""
MAX_TEMPERATURE = 20.0
"""And its inverse is the smallest: where every answer is right, the best would have no limit."""
_CURVE_STEP = 5
"""Hundredths between the points of a curve that are kept."""


@dataclass(frozen=True, slots=True)
class Point:
    """What happens at one threshold."""

    threshold: float
    coverage: float
    """The part of the images that is answered: their confidence is not below the threshold."""
    accuracy: float | None
    """Of those that are answered; None where there are none."""


@dataclass(frozen=True, slots=True)
class Abstention:
    """The confidence from which on a model answers, and what other thresholds would give."""

    chosen: Point
    curve: tuple[Point, ...]

    def as_json(self) -> dict[str, Any]:
        """The threshold, its rule, and the curve as rows of threshold, coverage, accuracy."""
        return {
            "threshold": self.chosen.threshold,
            "rule": f"the smallest in hundredths at which {TARGET:.0%} of the answers to "
            f"validation images are right, and {MIN_COVERAGE:.0%} or more of them are answered",
            "coverage": _rounded(self.chosen.coverage),
            "accuracy": _rounded(self.chosen.accuracy),
            "curve": [
                [point.threshold, _rounded(point.coverage), _rounded(point.accuracy)]
                for point in self.curve
            ],
        }


@dataclass(frozen=True, slots=True)
class Confidence:
    """How a model's logits become probabilities, and from which on it answers."""

    temperature: float
    abstention: Abstention | None
    """None where no threshold keeps the rule."""

    @classmethod
    def fit(cls, logits: Logits, targets: Targets) -> "Confidence":
        """Chosen on validation images."""
        temperature = fit_temperature(logits, targets)
        return cls(temperature, choose_threshold(*_judged(logits, targets, temperature)))

    def evaluate(self, logits: Logits, targets: Targets) -> dict[str, Any]:
        """What it gives on images that chose nothing, as JSON.

        The calibration error with temperature 1 and with its own; coverage and accuracy at the
        threshold, where there is one.
        """
        confidence, right = _judged(logits, targets, self.temperature)
        seen: dict[str, Any] = {
            "n": len(targets),
            "calibration_error": {
                "bins": BINS,
                "before": round(calibration_error(*_judged(logits, targets, 1.0)), 5),
                "after": round(calibration_error(confidence, right), 5),
            },
        }
        if self.abstention is not None:
            point = _point(confidence, right, self.abstention.chosen.threshold)
            seen["coverage"] = _rounded(point.coverage)
            seen["accuracy"] = _rounded(point.accuracy)
        return seen


def fit_temperature(logits: Logits, targets: Targets) -> float:
    """The temperature under which the targets are most probable: Guo et al. (2017), section 4.2.

    The mean negative log-likelihood is convex in its inverse, so it has one minimum.
    """
    exact, rows = logits.astype(np.float64), np.arange(len(targets))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(exact / np.exp(log_temperature), axis=1)[rows, targets].mean())

    limit = np.log(MAX_TEMPERATURE)
    return float(np.exp(minimize_scalar(loss, bounds=(-limit, limit), method="bounded").x))


def calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS
) -> float:
    """The expected calibration error: Guo et al. (2017), equation 3, bins of equal width.

    How far confidence and accuracy are apart, bin by bin, weighted by the images in each.

    Args:
        confidence: (n,), in [0, 1]; bins are open below and closed above, as in the paper.
        right: (n,), whether each answer is.
    """
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    # n_b |accuracy_b - confidence_b| is the sum's absolute value: no division by empty bins.
    gaps = np.bincount(bin_of, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def choose_threshold(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], target: float = TARGET
) -> Abstention | None:
    """The smallest threshold, in hundredths, at which `target` of the answers are right.

    Args:
        confidence: (n,), in [0, 1].
        right: (n,), whether each answer is.
    """
    points = [_point(confidence, right, hundredths / 100) for hundredths in range(100)]
    supported = [point for point in points if point.coverage >= MIN_COVERAGE]
    good = (p for p in supported if p.accuracy is not None and p.accuracy >= target)
    chosen = next(good, None)
    return None if chosen is None else Abstention(chosen, tuple(supported[::_CURVE_STEP]))


def _judged(
    logits: Logits, targets: Targets, temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The probability of the first class, and whether that is the right one; both (n,)."""
    probabilities = softmax(logits.astype(np.float64) / temperature, axis=1)
    return probabilities.max(axis=1), logits.argmax(axis=1) == targets


def _point(confidence: NDArray[np.float64], right: NDArray[np.bool_], threshold: float) -> Point:
    given = confidence >= threshold
    n = int(given.sum())
    return Point(threshold, n / len(confidence), int((right & given).sum()) / n if n else None)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
