"""What the classifier answers: the same through every entry, in order, from every thread."""

import dataclasses
import io
import json
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tinysight import BundleError, Classifier, ImageError, Prediction, load_bundle
from tinysight.bundle import Abstention
from tinysight.device import tuned_profile
from tinysight.engines.registry import installed, open_engine
from tinysight.errors import TinysightWarning
from tinysight.integrity import golden
from tinysight.stats import PairedRatio


class FixedLogits:
    """A session that answers with the logits it was given, whatever the image."""

    def __init__(self, logits: list[float]) -> None:
        self.row = np.array([logits], dtype=np.float32)

    def run(self, images: np.ndarray) -> np.ndarray:
        return self.row.repeat(len(images), axis=0)


def answering(classifier: Classifier, logits: list[float], temperature: float = 1.0) -> Classifier:
    """A classifier with as many labels as there are logits, which gives these."""
    bundle = dataclasses.replace(
        classifier.bundle,
        labels=tuple(f"label {i}" for i in range(len(logits))),
        artifacts=(dataclasses.replace(classifier.artifact, golden=None),),
        temperature=temperature,
    )
    return Classifier(bundle, bundle.artifact(), FixedLogits(logits))


BLACK = np.zeros((8, 8, 3), dtype=np.uint8)


def test_golden_answers_come_through_every_entry(tiny: Path, tmp_path: Path) -> None:
    """Array, PIL image, bytes, path, stream and raw logits: one picture, one answer."""
    classifier = Classifier.load(tiny)
    images = golden.noise(8, 8)
    kept = json.loads((tiny / "bundle.json").read_text())["artifacts"][0]["golden"]["logits"]
    np.testing.assert_allclose(classifier.logits(images), kept, rtol=1e-6)
    for image, row in zip(images, kept, strict=True):
        path = tmp_path / "image.png"
        Image.fromarray(image).save(path)
        expected = classifier.classify(image, top_k=3)
        assert expected.index == int(np.argmax(row))
        assert expected.label == ("red", "green", "blue")[expected.index]
        content = path.read_bytes()
        for source in (path, str(path), content, Image.open(io.BytesIO(content))):
            assert classifier.classify(source, top_k=3) == expected
            assert list(classifier.classify_many([source], top_k=3)) == [expected]


@pytest.mark.parametrize("colour", range(3))
def test_the_label_is_the_dominating_colour_at_any_size(
    colour: int, classifier: Classifier
) -> None:
    for size in ((8, 8), (3, 50), (100, 7)):
        image = np.zeros((*size, 3), dtype=np.uint8)
        image[..., colour] = 255
        assert classifier.classify(image).label == ("red", "green", "blue")[colour]


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[..., ::-1],
        lambda a: a[::-1],
        lambda a: a.transpose(1, 0, 2),
        lambda a: np.asfortranarray(a),
    ],
    ids=["channels", "flipped", "transposed", "fortran"],
)
def test_a_strided_array_is_classified_as_its_copy(view, classifier, noise) -> None:  # type: ignore[no-untyped-def]
    """An array of the model's shape goes to the engine as it is: its strides must be heeded."""
    strided = view(noise[0])
    assert classifier.classify(strided, 3) == classifier.classify(strided.copy(order="C"), 3)
    assert list(classifier.classify_many([strided], top_k=3)) == [classifier.classify(strided, 3)]


def test_top_ranks_the_best_first_and_starts_with_the_answer(
    classifier: Classifier, noise: np.ndarray
) -> None:
    for image in noise:
        answer = classifier.classify(image, top_k=3)
        probabilities = [probability for _, probability in answer.top]
        assert probabilities == sorted(probabilities, reverse=True)
        assert answer.top[0] == (answer.label, answer.probability)
        assert sum(probabilities) == pytest.approx(1)
        assert classifier.classify(image, top_k=2).top == answer.top[:2]
        assert classifier.classify(image).top == answer.top[:1]


def test_top_beyond_the_classes_gives_all(classifier: Classifier) -> None:
    assert len(classifier.classify(BLACK, top_k=1000).top) == 3


@pytest.mark.parametrize("top", [0, -1])
def test_a_top_below_1_is_a_value_error(top: int, classifier: Classifier) -> None:
    with pytest.raises(ValueError, match="top"):
        classifier.classify(BLACK, top_k=top)
    with pytest.raises(ValueError, match="top"):
        classifier.classify_many([], top_k=top)


def test_batch_size_and_threads_below_1_are_value_errors_at_once(
    classifier: Classifier, tiny: Path
) -> None:
    with pytest.raises(ValueError, match="batch_size"):
        classifier.classify_many([], batch_size=0)
    with pytest.raises(ValueError, match="threads"):
        Classifier.load(tiny, threads=0)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 40, 119, 120, 121, 1000])
def test_a_stream_gives_the_single_answers_in_order(
    batch_size: int, classifier: Classifier, noise: np.ndarray
) -> None:
    expected = [classifier.classify(image, top_k=2) for image in noise]
    assert len({answer.label for answer in expected}) == 3
    assert list(classifier.classify_many(iter(noise), batch_size, top_k=2)) == expected


def test_an_empty_stream_gives_nothing(classifier: Classifier) -> None:
    assert list(classifier.classify_many([])) == []


@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_a_stream_is_pulled_one_batch_at_a_time(batch_size: int, classifier: Classifier) -> None:
    """An endless source is no trouble, and no more than `batch_size` images are held."""
    pulled = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal pulled
        while True:
            pulled += 1
            yield BLACK

    answers = classifier.classify_many(endless(), batch_size)
    assert pulled == 0
    for answered in range(3 * batch_size):
        next(answers)
        assert pulled == (answered // batch_size + 1) * batch_size


@pytest.mark.parametrize("bad", [0, 1, 9, 10, 11, 24])
def test_an_error_comes_after_the_answers_for_all_before(
    bad: int, classifier: Classifier, noise: np.ndarray
) -> None:
    images: list[object] = list(noise[:25])
    images[bad] = b"no image"
    answers: list[Prediction] = []
    stream = classifier.classify_many(images, batch_size=10)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="8 bytes: not an image"):
        answers.extend(stream)
    assert answers == [classifier.classify(image) for image in noise[:bad]]


def test_eight_threads_get_the_answers_of_one(classifier: Classifier, noise: np.ndarray) -> None:
    expected = [classifier.classify(image, top_k=3) for image in noise]
    with ThreadPoolExecutor(8) as pool:
        many = [pool.submit(lambda: list(classifier.classify_many(noise, 16, 3))) for _ in range(8)]
        single = list(pool.map(lambda image: classifier.classify(image, 3), [*noise] * 8))
        assert single == expected * 8
        assert all(future.result() == expected for future in many)


def test_two_threads_for_one_call_give_the_same_answers(
    tiny: Path, classifier: Classifier, noise: np.ndarray
) -> None:
    two = Classifier.load(tiny, threads=2)
    assert list(two.classify_many(noise)) == list(classifier.classify_many(noise))


def test_artifacts_are_named(tiny: Path) -> None:
    assert Classifier.load(tiny, artifact="float32").classify(BLACK)
    with pytest.raises(BundleError, match="it has float32"):
        Classifier.load(tiny, artifact="float16")


@given(st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=20), st.floats(0.05, 20))
def test_probabilities_are_the_softmax_over_the_temperature(
    classifier: Classifier, logits: list[float], temperature: float
) -> None:
    answer = answering(classifier, logits, temperature).classify(BLACK, top_k=len(logits))
    scaled = np.array(logits, dtype=np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max())
    softmax = exponentials / exponentials.sum()
    found = {int(label.split()[1]): probability for label, probability in answer.top}
    np.testing.assert_allclose([found[i] for i in range(len(logits))], softmax, rtol=1e-6)
    assert answer.index == int(np.argmax(logits))
    assert 1 / len(logits) <= answer.probability * (1 + 1e-12)
    assert answer.probability <= 1
    assert [value for _, value in answer.top] == sorted(found.values(), reverse=True)
    assert answer.energy_score == pytest.approx(np.logaddexp.reduce(scaled), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("logits", [[3e38, -3e38], [-3e38, -3.1e38], [0.0, 1e-45]])
def test_extreme_logits_do_not_overflow(logits: list[float], classifier: Classifier) -> None:
    answer = answering(classifier, logits, 1e-3).classify(BLACK, top_k=2)
    assert 0.5 <= answer.probability <= 1
    highest = max(float(np.float32(logit)) for logit in logits) / 1e-3
    assert highest <= answer.energy_score <= highest + abs(highest) * 1e-12 + math.log(2)
    assert sum(probability for _, probability in answer.top) == pytest.approx(1)


def test_below_the_confidence_asked_for_the_label_is_unknown(classifier: Classifier) -> None:
    """Logits 0 and ln 3 are probabilities of a quarter and three quarters."""
    asked = answering(classifier, [0.0, math.log(3.0)])
    plain = asked.classify(BLACK, top_k=2)
    assert plain.label == "label 1"
    assert plain.probability == pytest.approx(0.75)
    assert asked.classify(BLACK, top_k=2, min_confidence=0.74) == plain
    unknown = asked.classify(BLACK, top_k=2, min_confidence=0.76)
    assert unknown == dataclasses.replace(plain, label=None)
    assert list(asked.classify_many([BLACK], top_k=2, min_confidence=0.76)) == [unknown]


def test_the_threshold_itself_is_confident_enough(classifier: Classifier) -> None:
    asked = answering(classifier, [0.0, 0.0])
    assert asked.classify(BLACK, min_confidence=0.5).label == "label 0"


def recommending(classifier: Classifier, energy_score: float) -> Classifier:
    """A classifier whose bundle recommends this energy score."""
    abstention = Abstention(energy_score, "made for this test", 1.0, 1.0)
    bundle = dataclasses.replace(classifier.bundle, abstention=abstention)
    return Classifier(bundle, bundle.artifact(), classifier._engine)


def test_auto_is_the_energy_score_alone(classifier: Classifier) -> None:
    """Two logits of 10 are as unsure as two of 0, but those of an image that is known."""
    for logits, least, label in (
        ([10.0, 10.0], 10 + math.log(2) - 1e-9, "label 0"),
        ([10.0, 10.0], 10 + math.log(2) + 1e-9, None),
        ([0.0, 0.0], 0.6, "label 0"),
        ([0.0, 0.0], 0.7, None),
        ([-9.0, 0.0], 0.7, None),  # of a probability of 99.99 %
        ([-20.0, -30.0], -20.0, "label 0"),
    ):
        asked = recommending(answering(classifier, logits), least)
        plain = asked.classify(BLACK, top_k=2)
        answer = asked.classify(BLACK, top_k=2, min_confidence="auto")
        assert answer == dataclasses.replace(plain, label=label)
        assert list(asked.classify_many([BLACK], top_k=2, min_confidence="auto")) == [answer]


def test_auto_has_the_units_of_the_temperature(classifier: Classifier) -> None:
    """Halving logits and temperature changes no answer."""
    one = answering(classifier, [3.0, 1.0], 1.0).classify(BLACK)
    half = answering(classifier, [1.5, 0.5], 0.5).classify(BLACK)
    assert one == half


@given(st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=20), st.floats(0.05, 20))
def test_the_energy_score_itself_is_enough(
    classifier: Classifier, logits: list[float], temperature: float
) -> None:
    asked = answering(classifier, logits, temperature)
    score = asked.classify(BLACK).energy_score
    for least, known in ((score, True), (math.nextafter(score, math.inf), False)):
        answer = recommending(asked, least).classify(BLACK, min_confidence="auto")
        assert (answer.label is not None) is known


def test_a_confidence_of_zero_is_no_rule(classifier: Classifier) -> None:
    assert classifier.answer_rule(0) is classifier.answer_rule(0.0) is None
    asked = recommending(answering(classifier, [0.0, 0.0]), 1e9)
    assert asked.classify(BLACK).label == asked.classify(BLACK, min_confidence=0.5).label
    assert asked.classify(BLACK, min_confidence="auto").label is None


def test_auto_of_a_bundle_that_recommends_nothing_is_one_line(classifier: Classifier) -> None:
    for ask in (classifier.classify, classifier.classify_many):
        with pytest.raises(BundleError, match="recommends no energy score") as caught:
            ask(BLACK, min_confidence="auto")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_a_confidence_is_a_probability(classifier: Classifier, value: float) -> None:
    for ask in (classifier.classify, classifier.classify_many):
        with pytest.raises(ValueError, match="min_confidence"):
            ask(BLACK, min_confidence=value)


def test_the_temperature_changes_the_probability_and_not_the_label(
    tiny: Path, noise: np.ndarray
) -> None:
    bundle = load_bundle(tiny)
    engine = open_engine(bundle, bundle.artifact())
    cold, plain, hot = (
        list(
            Classifier(
                dataclasses.replace(bundle, temperature=t), bundle.artifact(), engine
            ).classify_many(noise)
        )
        for t in (0.1, 1.0, 10.0)
    )
    for a, b, c in zip(cold, plain, hot, strict=True):
        assert a.label == b.label == c.label
        assert a.probability > b.probability > c.probability > 1 / 3


def test_a_classifier_tells_what_it_is(classifier: Classifier) -> None:
    assert repr(classifier) == "Classifier(tiny/float32, onnxruntime, 1 thread, 3 classes, 8x8)"
    assert classifier.labels == ("red", "green", "blue")
    assert (classifier.artifact.name, classifier.engine, classifier.threads) == (
        "float32",
        "onnxruntime",
        1,
    )


def test_a_prediction_reads_well() -> None:
    ranked = (("cat", 0.931), ("dog", 0.04))
    assert repr(Prediction("cat", 3, 0.931, 5.0, ranked)) == "Prediction('cat' 93.1%, 'dog' 4.0%)"
    unknown = Prediction(None, 3, 0.41, 2.0, (("cat", 0.41),))
    assert repr(unknown) == "Prediction(unknown: 'cat' 41.0%)"


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((0, 8, 8, 3), np.uint8),
        np.zeros((1, 8, 9, 3), np.uint8),
        np.zeros((1, 8, 8, 3), np.float32),
        [[[[0, 0, 0]]]],
    ],
    ids=lambda images: str(getattr(images, "shape", "a list")),
)
def test_logits_are_of_images_as_the_model_takes_them(
    classifier: Classifier, images: np.ndarray
) -> None:
    with pytest.raises(ImageError, match=r"uint8 array of shape \(n, 8, 8, 3\)"):
        classifier.logits(images)


def test_logits_take_arrays_that_are_not_contiguous(
    classifier: Classifier, noise: np.ndarray
) -> None:
    assert (classifier.logits(noise[::2]) == classifier.logits(noise)[::2]).all()


def test_a_classifier_pickles(
    tiny: Path, noise: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny.parent)
    once = Classifier.load(tiny.name, threads=2)
    content = pickle.dumps(once)
    monkeypatch.chdir(tmp_path)  # as another process may have another current folder
    again = pickle.loads(content)
    assert repr(again) == repr(once)
    assert (again.logits(noise) == once.logits(noise)).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("engine", ["onnxruntime", "litert"])
def test_a_classifier_answers_after_a_fork(engine: str, threads: int) -> None:
    """Whose threads do not survive it. In a process of its own, as this one has other threads."""
    if not installed(engine):
        pytest.skip(f"{engine} is not installed")
    code = (
        "import os, numpy as np\n"
        "from tinysight import Classifier\n"
        f"classifier = Classifier.load('edge_m', engine='{engine}', threads={threads})\n"
        "images = np.random.default_rng(0).integers(0, 256, (256, 32, 32, 3), dtype=np.uint8)\n"
        "before = classifier.logits(images)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if (classifier.logits(images) == before).all() else 3)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_what_was_loaded_is_logged(tiny: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "tinysight"):
        Classifier.load(tiny)
    assert caplog.messages == [
        "loaded Classifier(tiny/float32, onnxruntime, 1 thread, 3 classes, 8x8)"
    ]


@pytest.mark.parametrize("batch_size", [1, 10, 100])
@pytest.mark.parametrize("raised", [RuntimeError("the camera is gone"), OSError(5, "I/O error")])
def test_what_the_source_raises_comes_after_the_answers_for_all_before(
    raised: Exception, batch_size: int, classifier: Classifier, noise: np.ndarray
) -> None:
    def source() -> Iterator[np.ndarray]:
        yield from noise[:25]
        raise raised

    answers: list[Prediction] = []
    with pytest.raises(type(raised)) as caught:
        answers.extend(classifier.classify_many(source(), batch_size))
    assert caught.value is raised
    assert answers == [classifier.classify(image) for image in noise[:25]]


@pytest.mark.parametrize(
    "logits", [[math.nan, 1.0], [1.0, math.nan], [math.nan] * 2, [math.inf, 1.0], [-math.inf] * 2]
)
def test_a_model_that_gives_nan_is_an_error_and_not_a_probability(
    logits: list[float], classifier: Classifier
) -> None:
    with pytest.raises(BundleError, match="no finite number"):
        answering(classifier, logits).classify(BLACK)


@pytest.mark.parametrize("threads", [0, -1, 65, 1000, 2**31, 2**70, 1.5, "2", math.nan])
def test_threads_are_a_whole_number_of_1_to_64(threads: Any, tiny: Path) -> None:
    with pytest.raises(ValueError, match="threads must be a whole number of at least 1"):
        Classifier.load(tiny, threads=threads)


def test_threads_may_be_a_number_of_numpy(tiny: Path) -> None:
    assert Classifier.load(tiny, threads=np.int32(2)).threads == 2  # type: ignore[arg-type]


def test_a_profile_of_too_many_threads_is_warned_of_and_ignored(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYSIGHT_CACHE", str(tmp_path))
    ratio = PairedRatio(1.0, 1.0, 1.0)
    path = tuned_profile.save(
        load_bundle(tiny), tuned_profile.TunedProfile("float32", 2, 1.0, ratio)
    )
    assert Classifier.load(tiny).threads == 2
    path.write_text(path.read_text().replace('"threads": 2', '"threads": 1000'))
    with pytest.warns(TinysightWarning, match="is ignored .* threads must be"):
        assert Classifier.load(tiny).threads == 1


WITHOUT_HOME = """
import os, sys
import numpy as np
from tinysight import Classifier
from tinysight.device import tuned_profile
from tinysight.errors import TinysightError
from tinysight.files import cache_folder
import tinysight.engines.ort, onnxruntime
if os.getuid() == 0:
    os.setuid(54321)  # a user whom no file of the system names
for home in (None, "/root", "/dev/null", "a" * 5000, "/proc/1/cwd"):
    for key in ("HOME", "XDG_CACHE_HOME", "TINYSIGHT_CACHE"):
        os.environ.pop(key, None)
    if home is not None:
        os.environ["HOME"] = home
    assert Classifier.load(sys.argv[1]).classify(np.zeros((8, 8, 3), np.uint8)).label
os.environ.pop("HOME")
try:
    print(cache_folder())
except TinysightError as error:
    print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="other systems know the home folder otherwise")
def test_loading_needs_no_home_folder(tiny: Path) -> None:
    words = [sys.executable, "-c", WITHOUT_HOME, str(tiny)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if os.getuid() == 0:
        assert done.stdout.strip() == (
            "there is no home folder to keep anything in: name one by TINYSIGHT_CACHE"
        )


def test_a_message_is_one_line_that_a_terminal_only_shows() -> None:
    assert str(ImageError("a\nb\x1b[31m\x9b\u202e\r")) == r"a\nb\x1b[31m\x9b\u202e\r"
    for text in ("plain", "gr\u00fc\u00dfe \u65e5\u672c\u8a9e \U0001f600"):
        assert str(ImageError(text)) == text
