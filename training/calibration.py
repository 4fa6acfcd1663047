"""Calibrated confidence: probabilities that match accuracy, and a score below which to abstain.

Temperature and threshold are chosen on validation images; test images only show how well they hold.
Logits are float32 (n, classes) and targets class indices, int64 (n,), throughout.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax

from tinysight.bundle import Abstention
from tinysight.provenance import ConfidenceRecord, ThresholdPoint

Logits = NDArray[np.float32]
Targets = NDArray[np.int64]

BINS = 15
MIN_COVERAGE_PERCENT = 95
"""Of the validation images, at the recommended energy score."""
MIN_CURVE_COVERAGE = 0.01
"""A threshold that leaves a smaller fraction of answers is no evidence of their accuracy."""
MAX_TEMPERATURE = 20.0
"""The inverse is the smallest: where every answer is right, the likelihood has no maximum."""
_CURVE_STEP = 5
"""Hundredths between the thresholds of the curve that is recorded."""
_SCORE_STEPS = 10_000
"""In a nat: the energy score is recommended in these."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """How a model's logits become probabilities, and when it should abstain."""

    temperature: float
    """Logits are divided by it before the softmax."""
    abstention: Abstention
    curve: tuple[ThresholdPoint, ...]
    """Coverage and accuracy by threshold of the probability, on the validation images."""

    def evaluate(self, logits: Logits, targets: Targets) -> ConfidenceRecord:
        """Calibration error, coverage and accuracy on images that were not used to choose them."""
        confidence, correct = _top1(logits, targets, self.temperature)
        scores = energy_scores(logits, self.temperature)
        coverage, accuracy = _answered(scores >= self.abstention.min_energy_score, correct)
        return ConfidenceRecord(
            n=len(targets),
            bins=BINS,
            error_before=round(calibration_error(*_top1(logits, targets, 1.0)), 5),
            error=round(calibration_error(confidence, correct), 5),
            coverage=coverage,
            accuracy=accuracy,
        )


def fit_confidence(logits: Logits, targets: Targets) -> Confidence:
    """Chooses temperature and energy score on validation images, one at least."""
    temperature = fit_temperature(logits, targets)
    confidence, correct = _top1(logits, targets, temperature)
    abstention = choose_abstention(energy_scores(logits, temperature), correct)
    return Confidence(temperature, abstention, threshold_curve(confidence, correct))


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


def energy_scores(logits: Logits, temperature: float) -> NDArray[np.float64]:
    """The log sum exp of the logits over the temperature, in nats, (n,).

    The negative energy of Liu et al. (2020), arXiv 2010.03759, as `Prediction.energy_score` has it:
    lower on images of no class than on those of the classes.
    """
    return np.asarray(logsumexp(logits.astype(np.float64) / temperature, axis=1))


def choose_abstention(scores: NDArray[np.float64], correct: NDArray[np.bool_]) -> Abstention:
    """The largest energy score that `MIN_COVERAGE_PERCENT` of the images reach.

    Args:
        scores: (n,), in nats, n >= 1. Of n images floor(n / 20) may stay below: none of fewer than
            20. Images of one score are answered together.
        correct: (n,), whether each prediction is.
    """
    below = len(scores) * (100 - MIN_COVERAGE_PERCENT) // 100
    chosen = float(np.sort(scores)[below])
    # Rounded down: a device that sums in another order must not lose the image of that very score.
    least = min(chosen, float(np.floor(chosen * _SCORE_STEPS) / _SCORE_STEPS))
    answered = scores >= least
    return Abstention(
        min_energy_score=least,
        rule=f"the largest, in 1/{_SCORE_STEPS} nat, that {MIN_COVERAGE_PERCENT}% or more of the "
        "validation images reach",
        coverage=round(float(answered.mean()), 4),
        accuracy=round(float(correct[answered].mean()), 4),
    )


def threshold_curve(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_]
) -> tuple[ThresholdPoint, ...]:
    """What thresholds of the probability give.

    Args:
        confidence: (n,), the probability of the predicted class, in [0, 1].
        correct: (n,), whether each prediction is.
    """
    thresholds = [hundredths / 100 for hundredths in range(0, 100, _CURVE_STEP)]
    points = [ThresholdPoint(one, *_answered(confidence >= one, correct)) for one in thresholds]
    return tuple(point for point in points if point.coverage >= MIN_CURVE_COVERAGE)


def _top1(
    logits: Logits, targets: Targets, temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The probability of the predicted class, and whether it is the right one; both (n,)."""
    probabilities = softmax(logits.astype(np.float64) / temperature, axis=1)
    return probabilities.max(axis=1), logits.argmax(axis=1) == targets


def _answered(
    answered: NDArray[np.bool_], correct: NDArray[np.bool_]
) -> tuple[float, float | None]:
    """Which fraction is answered, and the accuracy of these, in hundredths of a percent."""
    n = int(answered.sum())
    accuracy = round(int((correct & answered).sum()) / n, 4) if n else None
    return round(n / len(answered), 4), accuracy
