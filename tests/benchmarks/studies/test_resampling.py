"""Small images made into photos: what is in the middle comes back."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn")

from benchmarks.cli import main
from benchmarks.studies.resampling import MAX_ASPECT, UPSAMPLING, make_photo
from tinysight import load_bundle
from tinysight.preprocess import open_image, to_pixels
from tinysight.provenance import (
    DataRecord,
    ExportRecord,
    Provenance,
    TrainingDevice,
    TrainingRecord,
    TrainingSeconds,
    write_description,
)
from tinysight.records import to_json
from tinysight.stats import Accuracy
from training.data import load_dataset
from training.recipes import recipe_of

TINY = Path(__file__).parents[2] / "tiny" / "bundle"


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), height=st.integers(16, 40), width=st.integers(16, 40))
def test_the_image_is_in_the_middle_of_its_photo(seed: int, height: int, width: int) -> None:
    random = np.random.default_rng(seed)
    soft = to_pixels(random.integers(0, 256, (4, 4, 3), dtype=np.uint8), height, width, "bicubic")
    encoded = make_photo(soft, random)
    opened = open_image(encoded)
    assert opened.width >= UPSAMPLING[0] * width - 1
    assert opened.height >= UPSAMPLING[0] * height - 1
    shape = (opened.width / width) / (opened.height / height)
    assert 1 / MAX_ASPECT - 0.02 <= shape <= MAX_ASPECT + 0.02
    back = to_pixels(encoded, height, width, "bicubic").astype(int)
    assert np.abs(back - soft).mean() < 6


def test_filters_are_compared_on_validation_images(
    colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the tiny model, which names the largest channel of an image: red, green or blue."""
    dataset = load_dataset(colours, size=(8, 8))
    tiny = load_bundle(TINY)
    recipe = replace(recipe_of("baseline"), val_fraction=0.5)
    provenance = Provenance(
        DataRecord("colours", "colours", "nobody", (), dataset.fingerprint),
        TrainingRecord(
            "baseline",
            to_json(recipe),
            1,
            1,
            TrainingSeconds(1.0, 1.0),
            TrainingDevice("Linux", "a CPU", 2, (), None, None, "3.11", (), "float32"),
            {},
            Accuracy(1, 1),
            None,
        ),
        ExportRecord((), ()),
        {},
    )
    (tmp_path / tiny.artifact().file).write_bytes(tiny.read(tiny.artifact()))
    write_description(tmp_path, tiny, provenance)
    command = ["resampling", str(tmp_path), "--data", str(colours)]
    assert main([*command, "--images", "5", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert list(figures) == ["original images", "nearest", "bilinear", "bicubic", "lanczos"]
    assert {accuracy["n"] for accuracy in figures.values()} == {5}
    assert main(command) == 0
    printed = capsys.readouterr().out
    # Half of the 12 training images. Their folders are blue, green, red and the model's classes
    # red, green, blue, so that green alone is right.
    (original,) = [line for line in printed.splitlines() if line.startswith("original images")]
    assert original.endswith(f" {Accuracy(2, 6)}")
    assert f"is set to {tiny.resample}" in printed


def test_other_data_than_the_bundles_own_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resampling", "edge_s", "--data", "digits"]) == 1
    assert "digits is not what edge_s was trained on" in capsys.readouterr().err
