"""How far an artifact's answers are from the trained model's, on the same real images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.stats import Accuracy, McNemar


@dataclass(frozen=True, slots=True)
class Margins:
    """How surely the trained model's answers survive: its first class against the next best."""

    mean: float
    """Of the trained model: its first class's logit minus the second's, on average."""
    mean_shrink: float
    """By how much the artifact's lead of that same class is smaller; negative where it grew."""
    max_shrink: float
    flippable: int
    """Images on which the trained model's margin was smaller than the largest change of a logit on
    any image: those that the artifact might have turned."""

    @classmethod
    def of(cls, logits: NDArray[np.float64], trained: NDArray[np.float64]) -> "Margins":
        first = trained.argmax(axis=1)
        margin = _lead(trained, first)
        shrink = margin - _lead(logits, first)
        return cls(
            mean=float(margin.mean()),
            mean_shrink=float(shrink.mean()),
            max_shrink=float(shrink.max()),
            flippable=int((margin < np.abs(logits - trained).max()).sum()),
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "mean": _rounded(self.mean),
            "mean_shrink": _rounded(self.mean_shrink),
            "max_shrink": _rounded(self.max_shrink),
            "thin": self.flippable,
        }


@dataclass(frozen=True, slots=True)
class Parity:
    """One set of logits against the trained model's."""

    images: int
    max_difference: float
    """Largest absolute difference of a logit."""
    mean_difference: float
    max_relative: float
    """The largest difference over the spread (largest minus smallest) of the trained logits."""
    same_top1: int
    """Images on which both name the same class first."""
    accuracy: Accuracy
    margins: Margins
    paired: McNemar
    """Who of the two is right: the trained model first, the artifact second."""

    @classmethod
    def of(
        cls, logits: NDArray[np.float32], trained: NDArray[np.float32], targets: NDArray[np.int64]
    ) -> "Parity":
        """Compares logits (n, classes) with the trained model's; `targets` (n,) are the truth."""
        exact, wanted = logits.astype(np.float64), trained.astype(np.float64)
        difference = np.abs(exact - wanted)
        answers, first = logits.argmax(axis=1), trained.argmax(axis=1)
        right = answers == targets
        return cls(
            images=len(targets),
            max_difference=float(difference.max()),
            mean_difference=float(difference.mean()),
            max_relative=float(difference.max() / max(float(np.ptp(trained)), 1e-12)),
            same_top1=int((answers == first).sum()),
            accuracy=Accuracy(int(right.sum()), len(targets)),
            margins=Margins.of(exact, wanted),
            paired=McNemar.of(first == targets, right),
        )

    @property
    def top1_agreement(self) -> float:
        return self.same_top1 / self.images

    def as_json(self) -> dict[str, Any]:
        return {
            "images": self.images,
            "max_difference": _rounded(self.max_difference),
            "mean_difference": _rounded(self.mean_difference),
            "max_relative": _rounded(self.max_relative),
            "same_top1": self.same_top1,
            "top1_agreement": self.top1_agreement,
            "accuracy": self.accuracy.value,
            "margin": self.margins.as_json(),
            "mcnemar": {
                "only_trained": self.paired.only_first,
                "only_artifact": self.paired.only_second,
                "difference": self.paired.difference,
                "p": _rounded(self.paired.p),
            },
        }


def _lead(logits: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far the logit of each image's class is above the largest other; (n,)."""
    rows = np.arange(len(logits))
    others = logits.copy()
    others[rows, classes] = -np.inf
    return np.asarray(logits[rows, classes] - others.max(axis=1))


def _rounded(value: float) -> float:
    """Four digits: what follows says nothing, and would fill bundle.json."""
    return float(f"{value:.4g}")
