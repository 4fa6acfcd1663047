"""The classifier: load a bundle once, ask it as often as you like."""

import heapq
import itertools
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tinysight.bundle import Bundle, load_bundle
from tinysight.device import tuned_profile
from tinysight.engines.registry import Engine, open_engine, resolve_artifact
from tinysight.errors import BundleError, ImageError
from tinysight.preprocess import ImageLike, Pixels, to_pixels

Confidence = float | Literal["auto"]
"""A probability, or the one that the bundle recommends."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one image."""

    label: str | None
    """The most probable class; None where `min_confidence` asked for more than its probability."""
    index: int
    """The most probable class's place in the bundle's labels, in any case."""
    probability: float
    """Of that class, in [0, 1]: the softmax of the logits over the bundle's temperature."""
    top: tuple[tuple[str, float], ...]
    """The `top` most probable classes with their probabilities, the best first."""


class Classifier:
    """A loaded bundle. Every method may be called from several threads at once.

    >>> classifier = Classifier.load()
    >>> classifier.classify("photo.jpg").label  # doctest: +SKIP
    'cat'
    """

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        """Use `Classifier.load`."""
        self.bundle = bundle
        self._labels = bundle.labels
        self._shape = (bundle.height, bundle.width, 3)
        self._resample = bundle.resample
        self._scale = 1.0 / bundle.temperature
        self._run = engine.run

    @classmethod
    def load(
        cls,
        path: "str | os.PathLike[str] | None" = None,
        *,
        artifact: str | None = None,
        engine: str | None = None,
        threads: int | None = None,
    ) -> "Classifier":
        """Loads a bundle.

        With neither artifact, engine nor threads named, it goes by what `tinysight tune` found
        on this device; where nothing was tuned, it takes the bundle's default on one thread.

        Args:
            path: the bundle's folder; None is the CIFAR-10 model that comes with tinysight.
            artifact: the name of one of its artifacts.
            engine: `onnxruntime`, or `litert`, which the extra tinysight[litert] brings. Each
                runs artifacts of one format only.
            threads: how many cores one call may use. A small network answers soonest with one.

        Raises:
            BundleError: the bundle is missing, damaged, or not what its description says; or it
                has no such artifact.
            MissingExtraError: the artifact's engine is not installed.
            ValueError: `threads` is below 1, or there is no such engine.
        """
        if threads is not None and threads < 1:
            raise ValueError("threads must be at least 1")
        bundle = load_bundle(path)
        if artifact is None and engine is None and threads is None:
            tuned = tuned_profile.load(bundle)
            if tuned is not None:
                artifact, threads = tuned.artifact, tuned.threads
        return cls(
            bundle, open_engine(bundle, resolve_artifact(bundle, artifact, engine), threads or 1)
        )

    def classify(
        self, image: ImageLike, top: int = 1, min_confidence: Confidence = 0.0
    ) -> Prediction:
        """Answers for one image.

        Args:
            image: a path, the bytes of an image file, a PIL image, or a uint8 array
                (height, width, 3) of any size. What does not have the model's size is cropped
                about its centre to the model's shape and resized.
            top: how many classes to rank in `Prediction.top`; all, where there are fewer.
            min_confidence: below this probability the label is None, "unknown"; `auto` takes
                the threshold that the bundle's validation images chose.

        Raises:
            ImageError: the image cannot be read, or the array is of another type or shape.
            BundleError: `auto`, and the bundle recommends no threshold.
            ValueError: `top` is below 1, or `min_confidence` is not in [0, 1].
        """
        # The usual case first: an array as the model takes it costs these two comparisons only.
        if not (
            isinstance(image, np.ndarray) and image.shape == self._shape and image.dtype == np.uint8
        ):
            image = to_pixels(image, self._shape[0], self._shape[1], self._resample)
        least = self._least(min_confidence) if min_confidence else 0.0
        return self._answer(self._run(image[None])[0], top, least)

    def classify_many(
        self,
        images: Iterable[ImageLike],
        batch_size: int = 32,
        top: int = 1,
        min_confidence: Confidence = 0.0,
    ) -> Iterator[Prediction]:
        """Answers for a stream of images, in its order, holding `batch_size` of them at a time.

        The first image that cannot be read raises ImageError, after the answers for all before.
        What `classify` raises for `top` and `min_confidence` is raised at once, and ValueError
        when `batch_size` is below 1.
        """
        if batch_size < 1:
            raise ValueError("batch_size must be at least 1")
        _check_top(top)
        return self._stream(iter(images), batch_size, top, self._least(min_confidence))

    def logits(self, images: Pixels) -> NDArray[np.float32]:
        """The raw outputs, float32 (n, classes), for uint8 images (n, height, width, 3)."""
        return self._run(images)

    def _stream(
        self, images: Iterator[ImageLike], batch_size: int, top: int, least: float
    ) -> Iterator[Prediction]:
        height, width, _ = self._shape
        while True:
            batch: list[Pixels] = []
            failure: ImageError | None = None
            try:
                for image in itertools.islice(images, batch_size):
                    batch.append(to_pixels(image, height, width, self._resample))
            except ImageError as error:
                failure = error
            if batch:
                for row in self._run(np.stack(batch)):
                    yield self._answer(row, top, least)
            if failure is not None:
                raise failure
            if len(batch) < batch_size:
                return

    def _least(self, min_confidence: Confidence) -> float:
        """The probability from which on a label is given."""
        if min_confidence == "auto":
            if self.bundle.abstention is None:
                raise BundleError(
                    f"{self.bundle.name} recommends no confidence: name one between 0 and 1"
                )
            return self.bundle.abstention.threshold
        if not 0 <= min_confidence <= 1:
            raise ValueError("min_confidence must lie in [0, 1], or be 'auto'")
        return min_confidence

    def _answer(self, logits: NDArray[np.float32], top: int, least: float) -> Prediction:
        """Softmax and ranking in plain Python: for ten classes numpy costs three times as much."""
        values: list[float] = logits.tolist()
        scale = self._scale
        highest = max(values)
        index = values.index(highest)
        total = sum([math.exp((value - highest) * scale) for value in values])
        first, probability = self._labels[index], 1.0 / total
        label = first if probability >= least else None
        if top == 1:
            return Prediction(label, index, probability, ((first, probability),))
        _check_top(top)
        best = heapq.nlargest(top, range(len(values)), key=values.__getitem__)
        ranked = tuple(
            (self._labels[i], math.exp((values[i] - highest) * scale) / total) for i in best
        )
        return Prediction(label, index, probability, ranked)


def _check_top(top: int) -> None:
    if top < 1:
        raise ValueError("top must be at least 1")
