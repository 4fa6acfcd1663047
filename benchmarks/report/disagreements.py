"""Single images: on which a model variant and its reference disagree, and confusion matrices."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.report import analysis
from benchmarks.sweep.result import SweepResult
from tinysight.benchmark.results import ModelVariant

MAX_IMAGES = 24
"""Shown for each pair; the result file has them all."""
MAX_CLASSES = 30
"""Above so many a confusion matrix is a carpet."""


@dataclass(frozen=True, slots=True)
class ImageAnswers:
    """A test image on which the two disagree; labels, but for the index."""

    index: int
    target: str
    reference: str
    """The reference's answer."""
    variant: str
    """The variant's answer."""


@dataclass(frozen=True, slots=True)
class Disagreements:
    """A model variant against its reference on the same images."""

    variant: str
    reference: str
    lost: int
    """Images that only the reference gets right."""
    won: int
    """Images that only the variant gets right."""
    p: float
    """McNemar's exact test."""
    within_noise: bool
    images: tuple[ImageAnswers, ...]
    """At most `MAX_IMAGES` of them."""

    @property
    def more(self) -> int:
        """Images that are not shown."""
        return self.lost + self.won - len(self.images)


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    title: str
    labels: tuple[str, ...]
    counts: NDArray[np.int64]
    """By true class (row) and predicted class, int64 (classes, classes)."""


def find_disagreements(result: SweepResult) -> list[Disagreements]:
    """For each variant whose model has a reference, the images on which the two disagree."""
    found = []
    for row in analysis.rows(result):
        test, reference = row.disagreements, row.reference
        if test is None or reference is None or test.only_first + test.only_second == 0:
            continue
        found.append(
            Disagreements(
                row.variant.key,
                reference.key,
                test.only_first,
                test.only_second,
                test.p,
                bool(row.same_accuracy),
                _images(result, reference, row.variant),
            )
        )
    return found


def _images(
    result: SweepResult, reference: ModelVariant, variant: ModelVariant
) -> tuple[ImageAnswers, ...]:
    if result.data is None:
        return ()
    lost, won = analysis.disagreement_indices(result, reference, variant)
    # As many that were won as lost, where there are so many: else the one hides the other.
    chosen = [*lost[: MAX_IMAGES - min(MAX_IMAGES // 2, len(won))]]
    chosen += [*won[: MAX_IMAGES - len(chosen)]]
    labels, targets = result.data.labels, result.data.targets
    before, after = result.predictions[reference.key], result.predictions[variant.key]
    return tuple(
        ImageAnswers(int(i), labels[targets[i]], labels[before[i]], labels[after[i]])
        for i in chosen
    )


def thumbnails(disagreements: Sequence[Disagreements], images: NDArray[np.uint8]) -> dict[str, str]:
    """Each image that is shown, once, as a PNG in a data URL, by its index.

    Args:
        disagreements: name them.
        images: the test images, uint8 (n, height, width, 3).
    """
    urls = {}
    for index in sorted({image.index for pair in disagreements for image in pair.images}):
        stream = io.BytesIO()
        Image.fromarray(np.asarray(images[index])).save(stream, "PNG", optimize=True)
        encoded = base64.b64encode(stream.getvalue()).decode()
        urls[str(index)] = f"data:image/png;base64,{encoded}"
    return urls


def confusion_matrices(
    results: Sequence[SweepResult], names: Sequence[str]
) -> list[ConfusionMatrix]:
    """One for each variant with predictions, each result's most accurate first."""
    found = []
    for result, name in zip(results, names, strict=True):
        if result.data is None or len(result.data.labels) > MAX_CLASSES:
            continue
        for variant in sorted(
            result.variants, key=lambda v: -(v.accuracy.value if v.accuracy else 0)
        ):
            counts = analysis.confusion_matrix(result, variant)
            if counts is not None:
                title = variant.key if len(results) == 1 else f"{variant.key}, {name}"
                found.append(ConfusionMatrix(title, result.data.labels, counts))
    return found
