"""The classifier: load a bundle once, ask it as often as you like."""

import heapq
import itertools
import math
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import exp, log  # by name: what answers calls them for every class
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from tinysight.bundle import Artifact, Bundle, load_bundle
from tinysight.engines.registry import (
    Engine,
    check_threads,
    engine_of,
    open_engine,
    resolve_artifact,
)
from tinysight.errors import BundleError, ImageError, TinysightError, UpdateError
from tinysight.files import cache_folder
from tinysight.preprocess import ImageLike, Pixels, to_pixels

if TYPE_CHECKING:
    from tinysight.signing.keys import KeyPaths
    from tinysight.store.watch import StoreWatcher

Confidence = float | Literal["auto"]
"""A probability, or `auto`: the energy score that the bundle recommends."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one image."""

    label: str | None
    """The most probable class; None, "unknown", where `min_confidence` asked for more."""
    index: int
    """The most probable class's place in the bundle's labels, in any case."""
    probability: float
    """Of that class, in [0, 1]: the softmax of the logits over the bundle's temperature."""
    energy_score: float
    """How much the image is like those of the classes, whichever of them: the log sum exp of the
    logits over the bundle's temperature, in nats; the negative energy of Liu et al. (2020), arXiv
    2010.03759. It compares images under one model, and says nothing across models."""
    top: tuple[tuple[str, float], ...]
    """The `top_k` most probable classes with their probabilities, the best first."""

    def __repr__(self) -> str:
        """Such as `Prediction('cat' 93.1%, 'dog' 4.0%)`, or `Prediction(unknown: 'cat' 41.0%)`."""
        ranked = ", ".join(f"{label!r} {probability:.1%}" for label, probability in self.top)
        return f"Prediction({'unknown: ' if self.label is None else ''}{ranked})"


class AnswerRule(NamedTuple):
    """The probability and the energy score that an answer must reach to be given a label."""

    probability: float = 0.0
    energy_score: float = -math.inf

    def is_met(self, probability: float, energy_score: float) -> bool:
        """Whether the label is given."""
        return probability >= self.probability and energy_score >= self.energy_score


class Classifier:
    """A loaded bundle. Every method may be called from several threads at once.

    Examples:
        >>> classifier = Classifier.load()
        >>> classifier.classify("photo.jpg").label  # doctest: +SKIP
        'cat'
    """

    def __init__(
        self,
        bundle: Bundle,
        artifact: Artifact,
        engine: Engine,
        threads: int = 1,
        *,
        reload: "_LoadArguments | None" = None,
        watcher: "StoreWatcher[Classifier] | None" = None,
    ) -> None:
        """Takes what `Classifier.load`, the usual way, finds and opens by name."""
        self._bundle = bundle
        self._artifact = artifact
        self._threads = threads
        self._reload = reload
        self._watcher = watcher
        self._shape = (*bundle.shape, 3)
        self._scale = 1.0 / bundle.temperature
        self._engine = engine
        self._run = engine.run
        _log("loaded %r", self)

    def current(self) -> "Classifier":
        """The classifier of the version that is current now, which stays with that version: for
        several calls that belong together. Itself, unless it watches a store."""
        return self if self._watcher is None else self._watcher()

    @property
    def bundle(self) -> Bundle:
        """The bundle that answers."""
        return self.current()._bundle

    @property
    def artifact(self) -> Artifact:
        """The artifact of the bundle that answers."""
        return self.current()._artifact

    @property
    def threads(self) -> int:
        """How many cores one call may use."""
        return self.current()._threads

    @property
    def labels(self) -> tuple[str, ...]:
        """By class index."""
        return self.bundle.labels

    @property
    def engine(self) -> str:
        """The name of the engine that runs the artifact."""
        return engine_of(self.artifact)

    def __repr__(self) -> str:
        one = self.current()
        threads = "1 thread" if one.threads == 1 else f"{one.threads} threads"
        return (
            f"Classifier({one.bundle.name}/{one.artifact.name}, {one.engine}, {threads}, "
            f"{len(one.labels)} classes, {one.bundle.height}x{one.bundle.width})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """A session does not pickle: what is unpickled opens the bundle in its folder again."""
        if self._bundle.folder is None:
            raise BundleError(f"{self._bundle.name} was not read from a folder: it does not pickle")
        if self._watcher is not None and self._reload is not None:
            return _load_again, (self._reload, True)
        keys = None if self._reload is None else self._reload.require_signature
        folder, artifact = self._bundle.folder.resolve(), self._artifact.name
        return _load_again, (_LoadArguments(folder, artifact, None, self._threads, keys), False)

    @classmethod
    def load(
        cls,
        path: "str | os.PathLike[str] | None" = None,
        *,
        artifact: str | None = None,
        engine: str | None = None,
        threads: int | None = None,
        require_signature: "KeyPaths | Literal[False] | None" = None,
        watch: bool = False,
    ) -> "Classifier":
        """Loads a bundle.

        With neither artifact, engine nor threads named, it goes by what `tinysight tune` found
        on this device; where nothing was tuned, it takes the bundle's default on one thread.

        Args:
            path: the bundle's folder, or a store of bundles, of which the current one is loaded;
                None is the CIFAR-10 model that comes with tinysight.
            artifact: the name of one of its artifacts.
            engine: `onnxruntime`, or `litert`, which the extra tinysight[litert] brings. Each
                runs artifacts of one format only.
            threads: how many cores one call may use, 1 to 64. A small network answers soonest with
                one.
            require_signature: files and folders of public keys, one of which must have signed the
                bundle; None is as this device is configured, False asks for no signature:
                `load_bundle`.
            watch: go over to a new version of the store as soon as `tinysight pull` or `rollback`
                made it current. Calls never wait for it, and each is answered by one version.

        Raises:
            BundleError: the bundle is missing, damaged, or not what its description says; it has
                no such artifact; or no trusted key has signed it (SignatureError).
            UpdateError: `watch`, and the folder is no store; or the store is damaged.
            MissingExtraError: the artifact's engine is not installed, or, where a signature is
                required, cryptography.
            ValueError: `threads` is no number of 1 to 64, or there is no such engine.
        """
        if threads is not None:
            threads = check_threads(threads)
        folder = None if path is None else Path(path)
        reload = _LoadArguments(folder, artifact, engine, threads, require_signature)
        if not watch:
            return cls._open(reload)
        if folder is None:
            raise UpdateError("a watched bundle needs a store: `tinysight pull` makes one")
        from tinysight.store.watch import CHECK_INTERVAL_S, StoreWatcher

        store = folder.resolve()
        reload = reload._replace(path=store)
        watcher = StoreWatcher(store, lambda _: cls._open(reload), CHECK_INTERVAL_S)
        first = watcher()
        return cls(
            first._bundle, first._artifact, first._engine, first._threads,
            reload=reload, watcher=watcher,
        )  # fmt: skip

    @classmethod
    def _open(cls, how: "_LoadArguments") -> "Classifier":
        """Loads the bundle, or the store's version that is current now."""
        bundle = load_bundle(how.path, require_signature=how.require_signature)
        artifact, threads = how.artifact, how.threads
        if artifact is None and how.engine is None and threads is None:
            artifact, threads = _tuned(bundle)
        chosen, cores = resolve_artifact(bundle, artifact, how.engine), threads or 1
        return cls(bundle, chosen, open_engine(bundle, chosen, cores), cores, reload=how)

    def classify(
        self, image: ImageLike, top_k: int = 1, min_confidence: Confidence = 0.0
    ) -> Prediction:
        """Answers for one image.

        Args:
            image: a path, the bytes of an image file, a PIL image, or a uint8 array
                (height, width, 3) of any size. Files are JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF or
                binary PPM. What does not have the model's size is cropped about its centre to the
                model's shape and resized.
            top_k: how many classes to rank in `Prediction.top`; all, where there are fewer.
            min_confidence: below this probability the label is None, "unknown"; `auto` compares
                the energy score with the one that the bundle recommends instead.

        Raises:
            ImageError: the image cannot be read, is beyond the limits on its size, holds values
                without a declared range, or the array is of another type or shape.
            BundleError: `auto`, and the bundle recommends no energy score; or its model fails,
                or gives no numbers.
            ValueError: `top_k` is below 1, or `min_confidence` is not in [0, 1].
        """
        if self._watcher is not None:
            return self._watcher().classify(image, top_k, min_confidence)
        # The usual case first: an array as the model takes it costs these two comparisons only.
        if not (
            isinstance(image, np.ndarray) and image.shape == self._shape and image.dtype == np.uint8
        ):
            image = to_pixels(image, self._shape[0], self._shape[1], self._bundle.resample)
        rule = self.answer_rule(min_confidence) if min_confidence else None
        return self._answer(self._run(image[None])[0], top_k, rule)

    @overload
    def classify_many(
        self,
        images: Iterable[ImageLike],
        batch_size: int = 32,
        top_k: int = 1,
        min_confidence: Confidence = 0.0,
        on_error: Literal["raise"] = "raise",
    ) -> Iterator[Prediction]: ...

    @overload
    def classify_many(
        self,
        images: Iterable[ImageLike],
        batch_size: int = 32,
        top_k: int = 1,
        min_confidence: Confidence = 0.0,
        *,
        on_error: Literal["yield"],
    ) -> Iterator[Prediction | ImageError]: ...

    def classify_many(
        self,
        images: Iterable[ImageLike],
        batch_size: int = 32,
        top_k: int = 1,
        min_confidence: Confidence = 0.0,
        on_error: Literal["raise", "yield"] = "raise",
    ) -> Iterator[Prediction | ImageError]:
        """Answers for a stream of images, in its order, holding `batch_size` of them at a time.

        What `classify` raises for `top_k` and `min_confidence` is raised at once, and ValueError
        when `batch_size` is below 1.

        Args:
            images: of the kinds that `classify` takes. What the iterable itself raises comes after
                the answers for all images before it.
            batch_size: images a call of the engine.
            top_k: as of `classify`.
            min_confidence: as of `classify`.
            on_error: `raise` raises the ImageError of the first image that cannot be read, after
                the answers for all before it; `yield` gives the error in the place of the answer
                and goes on.
        """
        if batch_size < 1:
            raise ValueError("batch_size must be at least 1")
        if on_error not in ("raise", "yield"):
            raise ValueError("on_error must be 'raise' or 'yield'")
        _check_top_k(top_k)
        self.answer_rule(min_confidence)
        answers = self._stream(iter(images), batch_size, top_k, min_confidence)
        return answers if on_error == "yield" else _raise_errors(answers)

    def logits(self, images: Pixels) -> NDArray[np.float32]:
        """The raw outputs, float32 (n, classes), for uint8 images (n, height, width, 3), n >= 1.

        Raises ImageError for an array of another type or shape.
        """
        if self._watcher is not None:
            return self._watcher().logits(images)
        if (
            not isinstance(images, np.ndarray)
            or images.dtype != np.uint8
            or images.shape[1:] != self._shape
            or len(images) == 0
        ):
            raise ImageError(
                f"images must be a uint8 array of shape (n, {self._shape[0]}, {self._shape[1]}, 3)"
            )
        return self._run(images)

    def answer_rule(self, min_confidence: Confidence) -> AnswerRule | None:
        """When a label is given, by a number or `auto`; None: always.

        Raises BundleError for `auto` where the bundle recommends none, ValueError outside [0, 1].
        """
        if min_confidence == "auto":
            bundle = self.bundle
            if bundle.abstention is None:
                raise BundleError(
                    f"{bundle.name} recommends no energy score: name a confidence from 0 to 1"
                )
            return AnswerRule(energy_score=bundle.abstention.min_energy_score)
        if not 0 <= min_confidence <= 1:
            raise ValueError("min_confidence must lie in [0, 1], or be 'auto'")
        return AnswerRule(probability=min_confidence) if min_confidence else None

    def _stream(
        self, images: Iterator[ImageLike], batch_size: int, top_k: int, min_confidence: Confidence
    ) -> Iterator[Prediction | ImageError]:
        """Answers, with the ImageError of an image in its place."""
        while True:
            one = self.current()  # a batch is prepared and answered by one version
            height, width = one._bundle.shape
            pixels: list[Pixels] = []
            errors: dict[int, ImageError] = {}
            failure: Exception | None = None
            taken = 0
            try:
                for image in itertools.islice(images, batch_size):
                    try:
                        pixels.append(to_pixels(image, height, width, one._bundle.resample))
                    except ImageError as error:
                        errors[taken] = error
                    taken += 1
            except Exception as error:  # the source's own: its batch is answered first
                failure = error
            rule = one.answer_rule(min_confidence)
            rows = iter(one._run(np.stack(pixels)) if pixels else ())
            for place in range(taken):
                error_here = errors.get(place)
                yield one._answer(next(rows), top_k, rule) if error_here is None else error_here
            if failure is not None:
                raise failure
            if taken < batch_size:
                return

    def _answer(
        self, logits: NDArray[np.float32], top_k: int, rule: AnswerRule | None
    ) -> Prediction:
        """Softmax and ranking in plain Python: for ten classes numpy costs three times as much."""
        values: list[float] = logits.tolist()
        scale = self._scale
        highest = max(values)
        total = 0.0
        for value in values:  # in Python 3.11 quicker than a comprehension, which is a call
            total += exp((value - highest) * scale)
        if not total >= 1.0:  # the highest alone gives 1
            raise BundleError(f"{self._bundle.name} gives a logit that is no finite number")
        index = values.index(highest)
        first, probability = self._bundle.labels[index], 1.0 / total
        energy_score = highest * scale + log(total)
        label = first if rule is None or rule.is_met(probability, energy_score) else None
        if top_k == 1:
            return Prediction(label, index, probability, energy_score, ((first, probability),))
        _check_top_k(top_k)
        best = heapq.nlargest(top_k, range(len(values)), key=values.__getitem__)
        ranked = tuple(
            (self._bundle.labels[i], exp((values[i] - highest) * scale) / total) for i in best
        )
        return Prediction(label, index, probability, energy_score, ranked)


def _raise_errors(answers: Iterator[Prediction | ImageError]) -> Iterator[Prediction]:
    for answer in answers:
        if isinstance(answer, ImageError):
            raise answer
        yield answer


def _check_top_k(top_k: int) -> None:
    if top_k < 1:
        raise ValueError("top_k must be at least 1")


class _LoadArguments(NamedTuple):
    """What `Classifier.load` was asked for, kept to load again."""

    path: Path | None
    artifact: str | None
    engine: str | None
    threads: int | None
    require_signature: "KeyPaths | Literal[False] | None"


def _load_again(how: _LoadArguments, watch: bool) -> Classifier:
    return Classifier.load(**how._asdict(), watch=watch)


def _tuned(bundle: Bundle) -> tuple[str | None, int | None]:
    """The artifact and the number of threads that `tinysight tune` found best for a bundle here."""
    try:
        if not (cache_folder() / "profiles").is_dir():
            return None, None  # the usual case, which must not cost the import of what reads them
    except (TinysightError, OSError, ValueError):  # no home, or one that is no place to look into
        return None, None
    from tinysight.device import tuned_profile

    tuned = tuned_profile.load(bundle)
    return (None, None) if tuned is None else (tuned.artifact, tuned.threads)


def _log(message: str, *values: object) -> None:
    """Tells `logging.getLogger("tinysight")`, if anybody can be listening."""
    logging = sys.modules.get("logging")  # its import takes longer than an answer
    if logging is not None:
        logging.getLogger("tinysight").info(message, *values)
