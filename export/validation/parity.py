"""How far an artifact's logits are from the trained model's, and whether that is near enough.

The records are the runtime's (`tinysight.provenance`): here they are computed.
"""

import math

import numpy as np
from numpy.typing import NDArray

from export.recipes import Tolerance
from tinysight.provenance import Margins, Parity
from tinysight.stats import Accuracy, McNemar


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


def rejection_reason(parity: Parity, reference: Parity, tolerance: Tolerance) -> str | None:
    """Why an artifact is not near enough to the trained model; None where it is.

    Args:
        parity: of the artifact on the validation images.
        reference: of the trained model against itself on the same images.
    """
    limit = math.inf if tolerance.max_relative is None else tolerance.max_relative
    if not parity.max_relative <= limit:  # so that NaN is rejected, too
        return (
            f"its logits differ by up to {parity.max_relative:.2g} of their spread, "
            f"allowed are {limit:.2g}"
        )
    # In images first: a difference of rounded fractions would miss a bound that is just met.
    lost = reference.accuracy.correct - parity.accuracy.correct
    drop = lost / reference.accuracy.n
    if drop > tolerance.max_accuracy_drop:
        return (
            f"it loses {drop:.2%} of validation accuracy, "
            f"allowed are {tolerance.max_accuracy_drop:.2%}"
        )
    return None


def _margin(logits: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far the logit of each image's class is above the largest other; (n,)."""
    rows = np.arange(len(logits))
    others = logits.copy()
    others[rows, classes] = -np.inf
    return np.asarray(logits[rows, classes] - others.max(axis=1))


def _rounded(value: float) -> float:
    """To four digits: what follows says nothing, and would fill bundle.json."""
    return float(f"{value:.4g}")
