"""Small images made into photos: what is in the middle comes back."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn")
pytest.importorskip("tensorflow")

from benchmarks.cli import main
from benchmarks.studies.resampling import ENLARGED, WIDEST, photo
from export.cli import main as export
from tinysight.preprocess import open_image, to_pixels
from training.cli import main as train


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), height=st.integers(16, 40), width=st.integers(16, 40))
def test_the_image_is_in_the_middle_of_its_photo(seed, height, width):
    random = np.random.default_rng(seed)
    soft = to_pixels(random.integers(0, 256, (4, 4, 3), dtype=np.uint8), height, width, "bicubic")
    encoded = photo(soft, random)
    opened = open_image(encoded)
    assert opened.width >= ENLARGED[0] * width - 1
    assert opened.height >= ENLARGED[0] * height - 1
    shape = (opened.width / width) / (opened.height / height)
    assert 1 / WIDEST - 0.02 <= shape <= WIDEST + 0.02
    back = to_pixels(encoded, height, width, "bicubic").astype(int)
    assert np.abs(back - soft).mean() < 6


def test_filters_are_compared_on_validation_images(tmp_path, capsys):
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    assert train(["run", "baseline", "--epochs", "2", "--out", str(run)]) == 0
    words = ["build", str(run), "--recipes", "static_w8a8", "--formats", "onnx", "--out", str(bundle)]
    assert export(words) == 0
    capsys.readouterr()
    command = ["photos", str(bundle), "--data", "digits", "--images", "60", "--json"]
    assert main(command) == 0
    figures = json.loads(capsys.readouterr().out)
    assert list(figures) == ["as they are", "nearest", "bilinear", "bicubic", "lanczos"]
    assert {one["n"] for one in figures.values()} == {60}
    assert figures["bicubic"]["value"] > 0.3  # ten classes


def test_other_images_are_refused(capsys):
    assert main(["photos", "tests/tiny/bundle", "--data", "digits"]) == 1
    assert "is not what" in capsys.readouterr().err
