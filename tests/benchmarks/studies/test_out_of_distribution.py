"""Out-of-distribution images: what they are, and a bundle's confidence on them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("sklearn")

from benchmarks.cli import main
from benchmarks.studies.out_of_distribution import (
    IMAGES,
    SCORES,
    mean_coverage,
    ood_images,
    separations,
    summarize_confidence,
)
from tinysight import Classifier, load_bundle
from tinysight.bundle import Abstention
from tinysight.preprocess import Pixels

TINY = Path(__file__).parents[2] / "tiny" / "bundle"
KINDS = ["digits", "text", "photo parts", "gratings", "clouds"]


def test_every_kind_is_seeded_images_of_the_models_size() -> None:
    first, again, other = ood_images(8, 12), ood_images(8, 12), ood_images(8, 12, seed=1)
    assert list(first) == KINDS
    for kind, images in first.items():
        assert images.shape == (IMAGES, 8, 12, 3)
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, again[kind])
        assert kind == "digits" or not np.array_equal(images, other[kind])


def test_the_kinds_are_what_they_are_called() -> None:
    kinds = ood_images(16, 16)
    deviation = {kind: images.std(axis=(1, 2)).mean() for kind, images in kinds.items()}
    assert all(deviation[kind] > 10 for kind in KINDS)
    assert _correlation(kinds["clouds"]) > 0.4
    assert kinds["text"].mean() > 128  # more paper than ink
    white = kinds["digits"][..., 0]
    assert np.array_equal(white, kinds["digits"][..., 2])


def _correlation(images: Pixels) -> float:
    """Of a pixel with its right neighbour."""
    return float(np.corrcoef(images[:, :, :-1].ravel(), images[:, :, 1:].ravel())[0, 1])


@pytest.fixture
def cautious(tmp_path: Path) -> Path:
    """The tiny bundle, which recommends an energy score of 6."""
    tiny = load_bundle(TINY)
    bundle = replace(tiny, abstention=Abstention(6.0, "a rule", 0.75, 0.875))
    (tmp_path / tiny.artifact().file).write_bytes(tiny.read(tiny.artifact()))
    (tmp_path / "bundle.json").write_text(bundle.as_text(), encoding="utf-8")
    return tmp_path


def test_the_summary_is_over_all_images(cautious: Path) -> None:
    """Dark grey is a third of everything and of the score 3.9; pure red almost surely, of 8.0; and
    light grey, a third again, is above its 6."""
    classifier = Classifier.load(cautious)
    images = np.full((4, 8, 8, 3), 90, np.uint8)
    images[0] = 255, 0, 0
    images[3] = 240
    summary = summarize_confidence(classifier, images)
    assert (summary.n, summary.coverage) == (4, 0.5)
    red = classifier.classify(images[0]).probability
    assert summary.mean_confidence == pytest.approx((red + 3 / 3) / 4)
    silent = summarize_confidence(Classifier.load(TINY), images)
    assert silent.coverage is None
    assert mean_coverage({"a": silent}) is None
    assert mean_coverage({"a": summary, "b": replace(summary, coverage=1.0)}) == 0.75


def test_a_score_is_compared_at_the_threshold_of_the_known_images() -> None:
    """39 of 41 known images are pure red, as are 2 of 4 of no class; the others are grey."""
    known = np.full((41, 8, 8, 3), 90, np.uint8)
    known[:39] = 255, 0, 0
    found = separations(Classifier.load(TINY), known, {"half": known[[0, 1, 39, 40]]})
    assert [one.score for one in found] == list(SCORES)
    probability = found[0]
    assert (probability.known, probability.coverage) == (41, 39 / 41)
    assert probability.answered == {"half": 0.5}
    assert probability.mean == 0.5


def test_scores_are_their_formulas() -> None:
    logits = np.array([[0.0, np.log(3)], [2.0, 2.0]], np.float32)
    expected = [[0.75, 0.5], [np.log(3), 2], [np.log(4), 2 + np.log(2)]]
    for score, values in zip(SCORES.values(), expected, strict=True):
        assert score(logits) == pytest.approx(values)


def test_other_classes_are_no_known_images(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ood", str(TINY), "--known", "digits"]) == 1
    assert "digits has other classes than the bundle" in capsys.readouterr().err


def test_known_images_that_cannot_be_read_are_left_out(
    broken_colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = load_bundle(TINY)
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / tiny.artifact().file).write_bytes(tiny.read(tiny.artifact()))
    # Class folders are read in the order of their names.
    bundle = replace(tiny, labels=("blue", "green", "red"), answers_sha256=None)
    (folder / "bundle.json").write_text(bundle.as_text(), encoding="utf-8")
    assert main(["ood", str(folder), "--known", str(broken_colours), "--json"]) == 0
    assert {one["known"] for one in json.loads(capsys.readouterr().out)} == {15}


def test_own_pictures_are_a_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (9, 9), (255, 0, 0)).save(tmp_path / "red.png")
    assert main(["ood", str(TINY), "--images", f"mine={tmp_path}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mine"]["n"] == 1


def test_the_command_prints_a_line_for_each_kind(
    cautious: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ood", str(TINY), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert list(figures) == KINDS
    assert all(0.333 < summary["mean_confidence"] <= 1 for summary in figures.values())
    assert all(summary["coverage"] is None for summary in figures.values())
    assert main(["ood", str(cautious)]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n{kind}" in printed for kind in KINDS)
    assert "an energy score of 6.0000 or more, as 75.0% of the validation images" in printed
