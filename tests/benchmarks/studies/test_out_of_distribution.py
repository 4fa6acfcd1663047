"""Images of no class: what they are, and that a bundle's reaction to them is counted rightly."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from benchmarks.cli import main
from benchmarks.studies.out_of_distribution import IMAGES, ood_images, react
from tinysight import Classifier, load_bundle
from tinysight.engines.ort import OnnxRuntimeEngine

TINY = Path(__file__).parents[2] / "tiny" / "bundle"
KINDS = ["digits", "noise", "gratings", "clouds", "one colour"]


def test_every_kind_is_seeded_images_of_the_models_size():
    first, again, other = ood_images(8, 12), ood_images(8, 12), ood_images(8, 12, seed=1)
    assert list(first) == KINDS
    for kind, images in first.items():
        assert images.shape == (IMAGES, 8, 12, 3)
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, again[kind])
        assert kind == "digits" or not np.array_equal(images, other[kind])


def test_the_kinds_are_what_they_are_called():
    kinds = ood_images(16, 16)
    deviation = {kind: images.std(axis=(1, 2)).mean() for kind, images in kinds.items()}
    assert deviation["one colour"] == 0
    assert all(deviation[kind] > 10 for kind in KINDS if kind != "one colour")
    assert _correlation(kinds["clouds"]) > 0.4
    assert abs(_correlation(kinds["noise"])) < 0.02


def _correlation(images):
    """Of a pixel with its right neighbour."""
    return np.corrcoef(images[:, :, :-1].ravel(), images[:, :, 1:].ravel())[0, 1]


def test_the_reaction_is_that_of_each_image():
    """A grey image is a third of everything; a pure red one is red almost surely."""
    bundle = dataclasses.replace(load_bundle(TINY), abstain={"threshold": 0.5})
    classifier = Classifier(
        bundle, bundle.artifact(), OnnxRuntimeEngine.open(bundle, bundle.artifact())
    )
    images = np.full((4, 8, 8, 3), 90, np.uint8)
    images[0] = 255, 0, 0
    reaction = react(classifier, images)
    assert (reaction.images, reaction.answered) == (4, 0.25)
    red = classifier.classify(images[0]).probability
    assert reaction.confidence == pytest.approx((red + 3 / 3) / 4)
    assert react(Classifier.load(TINY), images).answered is None


def test_the_command_prints_a_line_a_kind(capsys):
    assert main(["strangers", str(TINY), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert list(figures) == KINDS
    assert all(0.333 < variant["mean_confidence"] <= 1 for variant in figures.values())
    assert main(["strangers", str(TINY)]) == 0
    table = capsys.readouterr().out
    assert all(kind in table for kind in KINDS)
