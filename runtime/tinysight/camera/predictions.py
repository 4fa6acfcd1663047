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
            probability, s[t] = w s[t-1] + (1 - w) p[t] with s[0] = p[0], in [0, 1), and of the
            energy score likewise. 0 answers for each frame alone; with w a change shows after
            about 1 / (1 - w) frames.
        top_k: how many classes to rank.
        min_confidence: as in `Classifier.classify`; compared with what is smoothed.

    Raises what `Classifier.classify` does, and ValueError for a smoothing outside [0, 1), at once.
    """
    if not 0 <= smoothing < 1:
        raise ValueError("smoothing must be in [0, 1)")
    if top_k < 1:
        raise ValueError("top_k must be at least 1")
    classifier.answer_rule(min_confidence)
    return _answers(classifier, frames, smoothing, top_k, min_confidence)


def _answers(
    classifier: Classifier,
    frames: Iterable[Frame],
    weight: float,
    top_k: int,
    min_confidence: Confidence,
) -> Iterator[tuple[Frame, Prediction]]:
    answering: Classifier | None = None
    average: dict[str, float] = {}
    score = 0.0
    for frame in frames:
        one = classifier.current()  # a watched store may have gone over to another version
        if not weight:
            yield frame, one.classify(frame.pixels, top_k, min_confidence)
            continue
        current = one.classify(frame.pixels, top_k=len(one.labels))
        if one is not answering:  # another model: the past says nothing of its classes and scores
            answering, average, score = one, dict(current.top), current.energy_score
        average = {
            label: weight * average[label] + (1 - weight) * probability
            for label, probability in current.top
        }
        score = weight * score + (1 - weight) * current.energy_score
        top = tuple(heapq.nlargest(top_k, average.items(), key=lambda item: item[1]))
        best, probability = top[0]
        rule = one.answer_rule(min_confidence)
        label = best if rule is None or rule.is_met(probability, score) else None
        yield frame, Prediction(label, one.labels.index(best), probability, score, top)
