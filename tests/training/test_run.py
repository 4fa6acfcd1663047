"""`python -m training run` on real digits: what it writes, refuses, and goes on with."""

import json

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from training.cli import main
from training.crossval import Summary, folds
from training.data import load_dataset
from training.recipes import Recipe
from training.run_folder import RunError, load_run
from training.train import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "digits"
    assert main(["run", "baseline", "--out", str(out), "--epochs", "6"]) == 0
    return load_run(out)


def test_it_learns_digits(run):
    """Ten classes by chance are 10 %; six epochs give above 85 %."""
    assert run.record["test"]["value"] > 0.85
    low, high = run.record["test"]["interval"]
    assert low < run.record["test"]["value"] < high
    assert run.record["test"]["n"] == 360


def test_the_folder_holds_what_it_should(run):
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "confusion.png", "curves.png", "history.csv", "model.keras", "run.json", "test_logits.npy",
    ]  # fmt: skip
    lines = (run.folder / "history.csv").read_text().splitlines()
    assert len(lines) == 7
    assert lines[0].startswith("epoch,loss,accuracy,val_loss,val_accuracy")
    for picture in ("curves.png", "confusion.png"):
        assert (run.folder / picture).read_bytes().startswith(b"\x89PNG")


def test_the_record_says_how_it_was_made(run):
    record = run.record
    assert record["recipe"] == Recipe("baseline", epochs=6).as_json()
    assert record["parameters"] == 83_030
    assert {part: entry["n"] for part, entry in record["data"]["splits"].items()} == {
        "train": 1149, "val": 288, "test": 360,
    }  # fmt: skip
    assert record["seconds"]["training"] > 0
    assert record["device"]["precision"] == "float32"
    assert set(record["versions"]) >= {"python", "tensorflow", "tf-keras", "numpy"}


def test_the_saved_logits_are_those_of_the_accuracy(run):
    dataset = load_dataset("digits")
    logits = np.load(run.folder / "test_logits.npy")
    right = (logits.argmax(axis=1) == dataset.targets[dataset.parts["test"]]).sum()
    assert right == run.record["test"]["correct"]


def test_nothing_is_overwritten_unless_asked(run, capsys):
    before = {path.name: path.stat().st_mtime_ns for path in run.folder.iterdir()}
    assert main(["run", "baseline", "--out", str(run.folder), "--epochs", "6"]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert {path.name: path.stat().st_mtime_ns for path in run.folder.iterdir()} == before


def test_a_foreign_folder_is_never_replaced(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("years of work")
    assert main(["run", "baseline", "--out", str(tmp_path), "--overwrite"]) == 1
    assert "not a run folder" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_finished_run_is_resumed_for_free(run, silent):
    again = train(
        Recipe("baseline", epochs=6), load_dataset("digits"), run.folder, silent, resume=True
    )
    assert again is not None
    assert again.record == run.record
    assert silent.epochs == []


def test_another_recipe_is_not_resumed(run, silent):
    with pytest.raises(RunError, match="another recipe"):
        train(Recipe("baseline", epochs=7), load_dataset("digits"), run.folder, silent, resume=True)


def test_an_unfinished_run_is_one_line(tmp_path):
    (tmp_path / "run.json").write_text(
        json.dumps({"format": 1, "status": "training", "recipe": {"epochs": 9}, "epochs_done": 2})
    )
    with pytest.raises(RunError, match="2 of 9 epochs"):
        load_run(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 99}'])
def test_a_damaged_record_is_one_line(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError) as caught:
        load_run(tmp_path)
    assert "\n" not in str(caught.value)


def test_unknown_data_is_one_line(tmp_path, capsys):
    assert main(["run", "baseline", "--data", "cifar", "--out", str(tmp_path / "x")]) == 1
    error = capsys.readouterr().err
    assert "cifar10" in error
    assert "Traceback" not in error
    assert not (tmp_path / "x").exists()


def test_folds_validate_every_image_once_and_leave_the_test_alone():
    dataset = load_dataset("digits")
    splits = list(folds(dataset, 4, seed=0))
    validated = np.concatenate([split.val for split in splits])
    np.testing.assert_array_equal(np.sort(validated), dataset.parts["train"])
    for split in splits:
        assert len(split.test) == 0
        assert not np.isin(split.train, dataset.parts["test"]).any()


def test_the_interval_over_folds_is_students():
    """By hand: mean 0.5, deviation 0.1, t(0.975, 2) = 4.302653, half = t * 0.1 / sqrt(3)."""
    summary = Summary((0.4, 0.5, 0.6))
    assert summary.mean == pytest.approx(0.5)
    assert summary.deviation == pytest.approx(0.1)
    assert summary.interval == pytest.approx((0.5 - 0.248414, 0.5 + 0.248414), abs=1e-5)


def test_crossval_goes_on_fold_by_fold(tmp_path, capsys):
    out = tmp_path / "cv"
    command = ["crossval", "baseline", "--epochs", "1", "--folds", "2", "--out", str(out)]
    assert main(command) == 0
    first = json.loads((out / "crossval.json").read_text())
    assert [fold["n"] for fold in first["folds"]] == [719, 718]
    record = (out / "fold-1" / "run.json").read_bytes()
    (out / "crossval.json").unlink()
    assert main([*command, "--resume"]) == 0
    assert (out / "fold-1" / "run.json").read_bytes() == record
    assert json.loads((out / "crossval.json").read_text()) == first
    assert json.loads(record)["test"] is None
    assert "Mean" in capsys.readouterr().out


def test_a_stack_is_trained_with_a_hint_where_an_epoch_has_few_steps(tmp_path, capsys):
    words = ["run", "8s2-16s2", "--epochs", "1", "--out"]
    assert main([*words, str(tmp_path / "few")]) == 0
    assert "Note: an epoch has 3 steps of 512 images." in capsys.readouterr().err
    assert main([*words, str(tmp_path / "more"), "--batch-size", "64"]) == 0
    assert "Note: an epoch has" not in capsys.readouterr().err
    assert load_run(tmp_path / "few").record["recipe"]["model"] == "8s2-16s2"
    with pytest.raises(SystemExit):
        main(["run", "8s3", "--out", str(tmp_path / "none")])
    assert "invalid choice: '8s3'" in capsys.readouterr().err
