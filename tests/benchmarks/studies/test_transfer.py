"""The study of transfer: what is drawn, what is trained, and its figures."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from benchmarks.cli import main
from benchmarks.studies.transfer import (
    Difference,
    Row,
    Setting,
    differences,
    draw,
    run_folder,
    scratch,
)
from tinysight.errors import TinysightError
from training.data import load_dataset
from training.recipes import recipe_of, with_settings


def test_the_same_number_of_each_class_is_drawn_and_all_others_test() -> None:
    dataset = load_dataset("digits")
    first, again, other = (draw(dataset, 20, seed) for seed in (0, 0, 1))
    both = np.concatenate([first.train, first.val])
    assert np.bincount(dataset.targets[both]).tolist() == [20] * 10
    assert len(first.val) == 40
    assert sorted([*both, *first.test]) == list(range(1797))
    assert np.array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)
    with pytest.raises(TinysightError, match=r"only 1.. training images of"):
        draw(dataset, 10_000, 0)


def test_the_interval_is_students() -> None:
    row = Row(Setting("digits", 20, "scratch"), (0.4, 0.5, 0.6), 100)
    assert row.mean == pytest.approx(0.5)
    assert row.interval == pytest.approx((0.5 - 0.248414, 0.5 + 0.248414), abs=1e-5)
    assert Row(row.setting, (0.4,), 100).interval is None


def test_differences_are_paired_by_seed() -> None:
    """The seeds differ by 10 points, the starts by one in each: beyond noise, where paired."""
    ours = Row(Setting("digits", 20, "pretrained"), (0.51, 0.61, 0.712), 100)
    other = Row(Setting("digits", 20, "scratch"), (0.5, 0.6, 0.7), 100)
    elsewhere = Row(Setting("digits", 100, "scratch"), (0.9, 0.9, 0.9), 100)
    (found,) = differences([ours, other, elsewhere])
    assert found.setting == other.setting
    assert found.differences == pytest.approx((0.01, 0.01, 0.012))
    assert found.verdict == "better"
    assert Difference(other.setting, (-0.01, -0.012, -0.011)).verdict == "worse"
    assert Difference(other.setting, (-0.01, 0.02)).verdict == "no difference beyond noise"
    assert Difference(other.setting, (0.01,)).verdict == "one seed"


def test_from_scratch_an_epoch_has_several_steps() -> None:
    recipe = scratch(recipe_of("edge_m"), 180)
    assert math.ceil(180 / recipe.batch_size) == 12
    assert recipe.epochs == recipe_of("edge_m").epochs


def test_a_study_on_digits_is_reported_and_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["transfer", "digits", "--per-class", "10", "--seeds", "2", "--model", "edge_s"]
    command += ["--epochs", "1", "--out", str(out), "--train-dir", str(tmp_path / "runs")]
    assert main([*command, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((out / "transfer.json").read_text())
    pretrained, from_scratch = result["rows"]
    assert pretrained["setting"] == {"data": "digits", "per_class": 10, "start": "pretrained"}
    assert pretrained["test_images"] == 1697
    assert pretrained["mean"] > from_scratch["mean"] + 0.2  # an epoch from scratch is nothing
    (difference,) = result["differences"]
    assert difference["mean"] == pytest.approx(pretrained["mean"] - from_scratch["mean"])
    report = (out / "report.md").read_text()
    assert "| 10 | weights of edge_s |" in report
    assert "    python -m benchmarks transfer digits --per-class 10 --seeds 2" in report
    finished = {file: file.stat().st_mtime_ns for file in tmp_path.glob("runs/*/*/run.json")}
    assert len(finished) == 4
    assert main(command) == 0  # trains nothing
    assert "Written to" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in finished} == finished
    assert (out / "report.md").read_text() == report


def test_the_data_that_the_weights_were_trained_on_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its name, which downloads nothing, and by the path of its batches."""
    batches = tmp_path / "batches"
    batches.mkdir()
    record = np.zeros((10, 1 + 3 * 32 * 32), np.uint8)
    record[:, 0] = range(10)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        (batches / f"{name}.bin").write_bytes(record.tobytes())
    for data in ("cifar10", str(batches)):
        assert main(["transfer", data, "--out", str(tmp_path / "out")]) == 1
        assert "trained on CIFAR-10: name other data" in capsys.readouterr().err


def test_every_training_has_a_folder_of_its_own() -> None:
    setting = Setting("digits", 10, "scratch")
    usual = recipe_of("edge_s")
    recipes = [usual, recipe_of("edge_m")] + [
        with_settings(usual, change) for change in ({"epochs": 1}, {"flip": False}, {"seed": 1})
    ]
    names = {run_folder(setting, recipe) for recipe in recipes}
    assert len(names) == len(recipes)
    assert run_folder(setting, usual).startswith("edge_s-10-scratch-0-")
    assert run_folder(setting, usual) == run_folder(setting, with_settings(usual, {}))
    assert run_folder(Setting("digits", 10, "pretrained"), usual) not in names


def test_a_picture_that_cannot_be_read_is_left_out(
    broken_colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The study goes on to the drawing, for which these pictures are too few."""
    assert main(["transfer", str(broken_colours), "--out", str(tmp_path)]) == 1
    assert "training images of blue" in capsys.readouterr().err
