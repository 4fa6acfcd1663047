"""Answers for frames: each for itself, and smoothed by the formula that the help gives."""

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tinysight import BundleError, Classifier
from tinysight.camera import Frame, classify_frames, read_frames

WriteVideo = Callable[..., Path]

COLOURS = {"red": (200, 10, 10), "blue": (10, 10, 200), "grey": (90, 90, 90)}


def frames(*colours: str) -> Iterator[Frame]:
    for index, colour in enumerate(colours):
        yield Frame(index, index / 30, np.full((8, 8, 3), COLOURS[colour], np.uint8))


def test_without_smoothing_each_frame_is_answered_for_itself(classifier: Classifier) -> None:
    answers = list(classify_frames(classifier, frames("red", "blue"), top_k=2))
    assert [frame.index for frame, _ in answers] == [0, 1]
    for (_, prediction), frame in zip(answers, frames("red", "blue"), strict=True):
        assert prediction == classifier.classify(frame.pixels, top_k=2)


def test_smoothing_is_an_exponential_moving_average(classifier: Classifier) -> None:
    colours = ("red", "blue", "blue", "red", "blue")
    plain = [
        dict(prediction.top)
        for _, prediction in classify_frames(classifier, frames(*colours), top_k=3)
    ]
    smoothed = classify_frames(classifier, frames(*colours), smoothing=0.6, top_k=3)
    expected = plain[0]
    for current, (_, prediction) in zip(plain, smoothed, strict=True):
        expected = {name: 0.6 * expected[name] + 0.4 * current[name] for name in expected}
        assert dict(prediction.top) == pytest.approx(expected)
        best = max(expected, key=expected.__getitem__)
        assert prediction.label == classifier.labels[prediction.index] == best
        assert prediction.probability == prediction.top[0][1] == pytest.approx(expected[best])
    # One blue frame among red ones changes no label, where it would without smoothing.
    steady = classify_frames(classifier, frames("red", "red", "blue", "red"), smoothing=0.6)
    assert {prediction.label for _, prediction in steady} == {"red"}


def test_the_threshold_is_of_the_smoothed_probability(classifier: Classifier) -> None:
    answers = classify_frames(
        classifier, frames("red", "blue", "blue"), smoothing=0.5, min_confidence=0.7
    )
    assert [prediction.label for _, prediction in answers] == ["red", None, "blue"]


def test_auto_compares_the_smoothed_energy_score(
    classifier: Classifier, spoilt: Callable[..., Path]
) -> None:
    """Grey frames have a score of about ln 3 + 90 / 32, red ones of 200 / 32."""
    colours = ("red", "grey", "grey", "grey", "red", "red")
    plain = [
        prediction.energy_score for _, prediction in classify_frames(classifier, frames(*colours))
    ]
    assert plain[1] < 4 < 6 < plain[0]
    expected, score = [], plain[0]
    for one in plain:
        score = 0.6 * score + 0.4 * one
        expected.append(score)
    recommended = {"rule": "a test", "coverage": 1.0, "accuracy": 1.0, "min_energy_score": 4.9}
    cautious = Classifier.load(spoilt(abstention=recommended))
    answers = [
        prediction
        for _, prediction in classify_frames(
            cautious, frames(*colours), smoothing=0.6, min_confidence="auto"
        )
    ]
    assert [answer.energy_score for answer in answers] == pytest.approx(expected)
    assert [answer.label for answer in answers] == ["red", "red", None, None, "red", "red"]
    alone = classify_frames(cautious, frames(*colours), min_confidence="auto")
    assert [prediction.label for _, prediction in alone] == ["red", *[None] * 3, "red", "red"]


def test_mistakes_are_told_before_the_first_frame(classifier: Classifier) -> None:
    with pytest.raises(ValueError, match=r"smoothing must be in \[0, 1\)"):
        classify_frames(classifier, frames(), smoothing=1.0)
    with pytest.raises(ValueError, match="top_k"):
        classify_frames(classifier, frames(), top_k=0)
    with pytest.raises(BundleError, match="recommends no energy score"):
        classify_frames(classifier, frames(), min_confidence="auto")


@pytest.mark.parametrize("realtime", [False, True])
def test_memory_does_not_grow(
    realtime: bool, classifier: Classifier, write_video: WriteVideo
) -> None:
    """The frames alone would take 7 MB. `python -m benchmarks camera` shows it on 10,000, for all
    memory of the process; here it would hold what other tests have left.
    """
    video = write_video(["red", "blue"] * 1500, fps=3000)
    held = []
    source = read_frames(video, realtime=realtime)
    tracemalloc.start()  # numpy's arrays are among what it counts
    try:
        for frame, _ in classify_frames(classifier, source, smoothing=0.5):
            if frame.index > 300:
                held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert held[-1] - held[0] < 2_000_000
