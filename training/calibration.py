"""Calibrated confidence: probabilities that match accuracy, and a threshold below which to abstain.

Temperature and threshold are chosen on validation images; test images only show how well they hold.
Logits are float32 (n, classes) and targets class indices, int64 (n,), throughout.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from tinysight.bundle import Abstention
from tinysight.provenance import ConfidenceRecord, ThresholdPoint

Logits = NDArray[np.float32]
Targets = NDArray[np.int64]

BINS = 15
TARGET_ACCURACY = 0.95
"""Of the answers at the recommended threshold, on validation images."""
MIN_COVERAGE = 0.01
"""A threshold that leaves a smaller fraction of answers is no evidence of their accuracy."""
MAX_TEMPERATURE = 20.0
"""The inverse is the smallest: where every answer is right, the likelihood has no maximum."""
_CURVE_STEP = 5
"""Hundredths between the thresholds of the curve that is recorded."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """How a model's logits become probabilities, and below which of them it should abstain."""

    temperature: float
    """Logits are divided by it before the softmax."""
    abstention: Abstention | None
    """None where no threshold reaches `TARGET_ACCURACY`."""
    curve: tuple[ThresholdPoint, ...]
    """Coverage and accuracy at thresholds from 0 up, on the validation images."""

    def evaluate(self, logits: Logits, targets: Targets) -> ConfidenceRecord:
        """Calibration error, coverage and accuracy on images that were not used to choose them."""
        confidence, correct = _top1(logits, targets, self.temperature)
        point = None
        if self.abstention is not None:
            point = _rounded(_point(confidence, correct, self.abstention.threshold))
        return ConfidenceRecord(
            n=len(targets),
            bins=BINS,
            error_before=round(calibration_error(*_top1(logits, targets, 1.0)), 5),
            error=round(calibration_error(confidence, correct), 5),
            coverage=None if point is None else point.coverage,
            accuracy=None if point is None else point.accuracy,
        )


def fit_confidence(logits: Logits, targets: Targets) -> Confidence:
    """Chooses temperature and threshold on validation images."""
    temperature = fit_temperature(logits, targets)
    top1 = _top1(logits, targets, temperature)
    return Confidence(temperature, choose_threshold(*top1), threshold_curve(*top1))


def fit_temperature(logits: Logits, targets: Targets) -> float:
    """The temperature that maximizes the targets' likelihood: Guo et al. (2017), section 4.2.

    The mean negative log-likelihood is convex in the inverse temperature, so it has one minimum.
    """
    exact, rows = logits.astype(np.float64), np.arange(len(targets))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(exact / np.exp(log_temperature), axis=1)[rows, targets].mean())

    limit = np.log(MAX_TEMPERATURE)
    return float(np.exp(minimize_scalar(loss, bounds=(-limit, limit), method="bounded").x))


def calibration_error(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int = BINS
) -> float:
    """The expected calibration error: Guo et al. (2017), equation 3, bins of equal width.

    The difference of confidence and accuracy in each bin, weighted by its number of images.

    Args:
        confidence: (n,), in [0, 1]; bins are open below and closed above, as in the paper.
        correct: (n,), whether each prediction is.
        bins: how many.
    """
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    # n_b |accuracy_b - confidence_b| is the sum's absolute value: no division by empty bins.
    gaps = np.bincount(bin_of, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def choose_threshold(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], target: float = TARGET_ACCURACY
) -> Abstention | None:
    """The smallest threshold, in hundredths, at which the answers reach the accuracy `target`.

    Args:
        confidence: (n,), in [0, 1].
        correct: (n,), whether each prediction is.
        target: in [0, 1].

    Returns:
        None where no threshold does, with at least `MIN_COVERAGE` of the images answered.
    """
    for point in _supported_points(confidence, correct):
        if point.accuracy is not None and point.accuracy >= target:
            return Abstention(
                threshold=point.threshold,
                rule=f"the smallest in hundredths at which {target:.0%} of the answers to "
                f"validation images are right, and {MIN_COVERAGE:.0%} or more of them are answered",
                coverage=round(point.coverage, 4),
                accuracy=round(point.accuracy, 4),
            )
    return None


def threshold_curve(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_]
) -> tuple[ThresholdPoint, ...]:
    """What other thresholds give; the arguments are those of `choose_threshold`."""
    points = _supported_points(confidence, correct)[::_CURVE_STEP]
    return tuple(_rounded(point) for point in points)


def _supported_points(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_]
) -> list[ThresholdPoint]:
    """Of all thresholds in hundredths, those with `MIN_COVERAGE`."""
    points = [_point(confidence, correct, hundredths / 100) for hundredths in range(100)]
    return [point for point in points if point.coverage >= MIN_COVERAGE]


def _top1(
    logits: Logits, targets: Targets, temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The probability of the predicted class, and whether it is the right one; both (n,)."""
    probabilities = softmax(logits.astype(np.float64) / temperature, axis=1)
    return probabilities.max(axis=1), logits.argmax(axis=1) == targets


def _point(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], threshold: float
) -> ThresholdPoint:
    answered = confidence >= threshold
    n = int(answered.sum())
    accuracy = int((correct & answered).sum()) / n if n else None
    return ThresholdPoint(threshold, n / len(confidence), accuracy)


def _rounded(point: ThresholdPoint) -> ThresholdPoint:
    """As it is recorded, in hundredths of a percent."""
    accuracy = None if point.accuracy is None else round(point.accuracy, 4)
    return ThresholdPoint(point.threshold, round(point.coverage, 4), accuracy)
