"""How far an artifact's logits are from the trained model's, and whether that is near enough.

The records are the runtime's (`tinysight.provenance`): here they are computed.
"""

import math

import numpy as np
from numpy.typing import NDArray

from export.recipes import Tolerance
from tinysight.provenance import Margins, Parity
from tinysight.stats import Accuracy, McNemar

MANY_IMAGES = 1000
"""Validation images from which on the loss itself is judged: with fewer, its interval of 95 % is
wider than a point (2 % of answers changed), which is int8's bound."""
SIGNIFICANCE = 0.05


def measure_parity(
    logits: NDArray[np.float32], trained: NDArray[np.float32], targets: NDArray[np.int64]
) -> Parity:
    """Compares an artifact with the trained model on the same images.

    Args:
        logits: of the artifact, (n, classes).
        trained: of the trained model, (n, classes).
        targets: the true classes, (n,).
    """
    actual, expected = logits.astype(np.float64), trained.astype(np.float64)
    difference = np.abs(actual - expected)
    answers, first = logits.argmax(axis=1), trained.argmax(axis=1)
    correct = answers == targets
    return Parity(
        images=len(targets),
        max_difference=_rounded(difference.max()),
        mean_difference=_rounded(difference.mean()),
        max_relative=_rounded(difference.max() / max(float(np.ptp(trained)), 1e-12)),
        same_top1=int((answers == first).sum()),
        accuracy=Accuracy(int(correct.sum()), len(targets)),
        margins=measure_margins(actual, expected),
        mcnemar=McNemar.of(first == targets, correct),
    )


def measure_margins(logits: NDArray[np.float64], trained: NDArray[np.float64]) -> Margins:
    """What is left of the trained model's margins; the arguments are those of `measure_parity`."""
    first = trained.argmax(axis=1)
    margin = _margin(trained, first)
    shrink = margin - _margin(logits, first)
    return Margins(
        mean=_rounded(margin.mean()),
        mean_shrink=_rounded(shrink.mean()),
        max_shrink=_rounded(shrink.max()),
        flippable=int((margin < np.abs(logits - trained).max()).sum()),
    )


def rejection_reason(parity: Parity, calibration: McNemar, tolerance: Tolerance) -> str | None:
    """Why an artifact is not near enough to the trained model; None where it is.

    Few validation images cannot show a small loss: two of 36 are 6 %, and may be chance. With fewer
    than `MANY_IMAGES`, a loss beyond the bound counts where it is significant on validation and
    calibration images together.

    Args:
        parity: of the artifact on the validation images.
        calibration: the trained model and the artifact on the calibration images.
        tolerance: the bounds.
    """
    limit = math.inf if tolerance.max_relative is None else tolerance.max_relative
    if not parity.max_relative <= limit:  # so that NaN is rejected, too
        return (
            f"its logits differ by up to {parity.max_relative:.2g} of their spread, "
            f"allowed are {limit:.2g}"
        )
    validation = parity.mcnemar
    drop = (validation.only_first - validation.only_second) / validation.n
    if drop <= tolerance.max_accuracy_drop:
        return None
    pooled = McNemar(
        validation.only_first + calibration.only_first,
        validation.only_second + calibration.only_second,
        validation.n + calibration.n,
    )
    significant = pooled.difference < 0 and pooled.p < SIGNIFICANCE
    if validation.n < MANY_IMAGES and not significant:
        return None
    return (
        f"it loses {drop:.2%} of validation accuracy, "
        f"allowed are {tolerance.max_accuracy_drop:.2%}; "
        f"--max-accuracy-drop {math.ceil(1000 * drop) / 10:g} accepts that"
    )


def _margin(logits: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far the logit of each image's class is above the largest other; (n,)."""
    rows = np.arange(len(logits))
    others = logits.copy()
    others[rows, classes] = -np.inf
    return np.asarray(logits[rows, classes] - others.max(axis=1))


def _rounded(value: float) -> float:
    """To four digits: what follows says nothing, and would fill provenance.json."""
    return float(f"{value:.4g}")
