"""Compares candidates with the trained model on sets of real images."""

from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from export.converter import Candidate
from export.errors import ExportError
from export.recipes import Tolerance
from export.source import ExportSource
from export.validation.parity import measure_parity, rejection_reason
from tinysight.engines.registry import ENGINES, Engine
from tinysight.errors import BundleError
from tinysight.provenance import Parity
from training.finalize import predict
from training.progress import ProgressCallback

Part = Literal["val", "test", "calibration"]
"""A set of images."""

_BATCH = 100


class Evaluator:
    """The trained model's logits on every set of images, and candidates against them."""

    def __init__(self, source: ExportSource, model: Any, count: ProgressCallback) -> None:
        """Runs the trained model once on every set.

        Args:
            model: float32 (n, h, w, 3) in [0, 1] to logits.
        """
        self._source, self.count = source, count
        self._indices: dict[Part, NDArray[np.int64]] = {
            "val": source.splits.val,
            "test": source.splits.test,
            "calibration": source.calibration,
        }
        self._trained = {
            part: predict(model, source.dataset.images, indices, count, f"evaluating {part}:")
            for part, indices in self._indices.items()
        }
        self._logits: dict[tuple[bytes, Part], NDArray[np.float32]] = {}
        self.reference = measure_parity(
            self._trained["val"], self._trained["val"], self.targets("val")
        )
        """The trained model against itself on the validation images."""

    @property
    def timing_image(self) -> NDArray[np.uint8]:
        """One training image, uint8 (1, h, w, 3), to time graphs on."""
        return self._source.images(self._source.calibration[:1])

    def targets(self, part: Part) -> NDArray[np.int64]:
        """The true classes, (n,)."""
        return self._source.dataset.targets[self._indices[part]]

    def open_engine(self, candidate: Candidate) -> Engine:
        """The candidate, loaded for one thread as a device does it: after the same check.

        Raises ExportError where a device would refuse it.
        """
        spec = next(spec for spec in ENGINES.values() if spec.format == candidate.format)
        shape, classes = self._source.shape, len(self._source.dataset.labels)
        try:
            spec.check(candidate.content, shape, classes)
        except BundleError as error:
            raise ExportError(f"every device would refuse {candidate.name}: {error}") from None
        return spec.loader(candidate.content, shape, classes, 1)

    def logits(self, candidate: Candidate, part: Part) -> NDArray[np.float32]:
        """The candidate's logits, (n, classes); computed once."""
        key = candidate.content, part
        if key not in self._logits:
            engine, indices = self.open_engine(candidate), self._indices[part]
            count = partial(self.count, f"evaluating {candidate.name}:")
            batches = []
            for start in range(0, len(indices), _BATCH):
                count(start, len(indices))
                batches.append(engine.run(self._source.images(indices[start : start + _BATCH])))
            self._logits[key] = np.concatenate(batches)
        return self._logits[key]

    def parity(self, candidate: Candidate, part: Part) -> Parity:
        """The candidate against the trained model."""
        return measure_parity(self.logits(candidate, part), self._trained[part], self.targets(part))

    def rejection_reason(self, candidate: Candidate, tolerance: Tolerance) -> str | None:
        """Why the candidate is not near enough to the trained model; None where it is."""
        return rejection_reason(
            self.parity(candidate, "val"), self.parity(candidate, "calibration").mcnemar, tolerance
        )

    def mean_logit_error(self, candidate: Candidate) -> float:
        """The mean absolute difference of a logit on the calibration images."""
        exact = self.logits(candidate, "calibration").astype(np.float64)
        return float(np.abs(exact - self._trained["calibration"].astype(np.float64)).mean())
