"""What a classifier says of frames, each for itself or smoothed over time."""

import heapq
from collections.abc import Iterable, Iterator

from tinysight.camera.frames import Frame
from tinysight.classifier import Classifier, Confidence, Prediction


def classify_frames(
    classifier: Classifier,
    frames: Iterable[Frame],
    *,
    smoothing: float = 0.0,
    top_k: int = 1,
    min_confidence: Confidence = 0.0,
) -> Iterator[tuple[Frame, Prediction]]:
    """Answers for frames in their order, each as soon as it is there.

    Args:
        classifier: a loaded bundle.
        frames: of one source, such as `read_frames` gives.
        smoothing: the weight w of the past in an exponential moving average of each class's
            probability, s[t] = w s[t-1] + (1 - w) p[t] with s[0] = p[0], in [0, 1). 0 answers for
            each frame alone; with w a change shows after about 1 / (1 - w) frames.
        top_k: how many classes to rank.
        min_confidence: as in `Classifier.classify`; compared with the smoothed probability.

    Raises what `Classifier.classify` does, and ValueError for a smoothing outside [0, 1), at once.
    """
    if not 0 <= smoothing < 1:
        raise ValueError("smoothing must be in [0, 1)")
    if top_k < 1:
        raise ValueError("top_k must be at least 1")
    threshold = classifier.confidence_threshold(min_confidence)
    return _answers(classifier, frames, smoothing, top_k, threshold)


def _answers(
    classifier: Classifier, frames: Iterable[Frame], weight: float, top_k: int, threshold: float
) -> Iterator[tuple[Frame, Prediction]]:
    labels: tuple[str, ...] = ()
    average: dict[str, float] = {}
    for frame in frames:
        one = classifier.current()  # a watched store may have gone over to another version
        if not weight:
            yield frame, one.classify(frame.pixels, top_k, threshold)
            continue
        if one.labels != labels:  # other classes: the past says nothing of them
            labels, average = one.labels, {}
        current = dict(one.classify(frame.pixels, top_k=len(labels)).top)
        average = {
            label: weight * average.get(label, probability) + (1 - weight) * probability
            for label, probability in current.items()
        }
        top = tuple(heapq.nlargest(top_k, average.items(), key=lambda item: item[1]))
        best, probability = top[0]
        label = best if probability >= threshold else None
        yield frame, Prediction(label, labels.index(best), probability, top)
