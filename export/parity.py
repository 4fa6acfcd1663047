"""How far an artifact's answers are from the trained model's, on the same real images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.statistics import Accuracy


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

    @classmethod
    def of(
        cls, logits: NDArray[np.float32], trained: NDArray[np.float32], targets: NDArray[np.int64]
    ) -> "Parity":
        """Compares logits (n, classes) with the trained model's; `targets` (n,) are the truth."""
        difference = np.abs(logits.astype(np.float64) - trained)
        answers = logits.argmax(axis=1)
        return cls(
            images=len(targets),
            max_difference=float(difference.max()),
            mean_difference=float(difference.mean()),
            max_relative=float(difference.max() / max(float(np.ptp(trained)), 1e-12)),
            same_top1=int((answers == trained.argmax(axis=1)).sum()),
            accuracy=Accuracy(int((answers == targets).sum()), len(targets)),
        )

    @property
    def top1_agreement(self) -> float:
        return self.same_top1 / self.images

    def as_json(self) -> dict[str, Any]:
        return {
            "images": self.images,
            "max_difference": self.max_difference,
            "mean_difference": self.mean_difference,
            "max_relative": self.max_relative,
            "same_top1": self.same_top1,
            "top1_agreement": self.top1_agreement,
            "accuracy": self.accuracy.value,
        }
