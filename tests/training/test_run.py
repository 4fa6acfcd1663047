"""`python -m training run` on real digits: what it writes, refuses, and goes on with."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.training.recorded_progress import RecordedProgress
from tinysight.stats import Accuracy
from training.cli import main
from training.console import TrainingConsole
from training.crossval import Fold, Summary, folds
from training.data import DataError, load_dataset
from training.recipes import Recipe
from training.run_folder import Run, RunError, load_run, read_record
from training.train import Job, _spaced, train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "digits"
    assert main(["run", "baseline", "--out", str(out), "--epochs", "6"]) == 0
    return load_run(out)


def test_it_learns_digits(run: Run) -> None:
    """Ten classes by chance are 10 %; six epochs give above 85 %."""
    test = run.result.test
    assert test is not None
    assert test.value > 0.85
    low, high = test.interval
    assert low < test.value < high
    assert test.n == 360


def test_the_folder_holds_what_it_should(run: Run) -> None:
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "confusion.png", "curves.png", "history.csv", "model.keras", "run.json", "test_logits.npy",
    ]  # fmt: skip
    lines = (run.folder / "history.csv").read_text().splitlines()
    assert len(lines) == 7
    assert lines[0].startswith("epoch,loss,accuracy,val_loss,val_accuracy")
    for picture in ("curves.png", "confusion.png"):
        assert (run.folder / picture).read_bytes().startswith(b"\x89PNG")


def test_the_record_says_how_it_was_made(run: Run) -> None:
    assert run.record.recipe == Recipe("baseline", epochs=6)
    splits, result = run.record.data.splits, run.result
    assert (splits.train.n, splits.val.n, splits.test.n) == (1149, 288, 360)
    assert result.parameters == result.trainable_parameters == 83_030
    assert result.seconds.training > 0
    assert result.device.precision == "float32"
    assert {*result.versions} >= {"python", "tensorflow", "tf-keras", "numpy"}
    assert result.confidence is not None
    assert result.confidence.n == 360


def test_the_saved_logits_are_those_of_the_accuracy(run: Run) -> None:
    dataset = load_dataset("digits")
    logits = np.load(run.folder / "test_logits.npy")
    right = (logits.argmax(axis=1) == dataset.targets[dataset.parts["test"]]).sum()
    assert run.result.test == Accuracy(right, 360)


def test_nothing_is_overwritten_unless_asked(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in run.folder.iterdir()}
    assert main(["run", "baseline", "--out", str(run.folder), "--epochs", "6"]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert {path.name: path.stat().st_mtime_ns for path in run.folder.iterdir()} == before


def test_a_foreign_folder_is_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert main(["run", "baseline", "--out", str(tmp_path), "--overwrite"]) == 1
    assert "not a run folder" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_finished_run_is_returned_unchanged(run: Run) -> None:
    progress = RecordedProgress()
    recipe = Recipe("baseline", epochs=6)
    again = train(Job(recipe, load_dataset("digits"), run.folder, if_exists="resume"), progress)
    assert again == run
    assert progress.epochs == []


def test_another_recipe_is_not_resumed(run: Run) -> None:
    recipe = Recipe("baseline", epochs=7)
    job = Job(recipe, load_dataset("digits"), run.folder, if_exists="resume")
    with pytest.raises(RunError, match="another recipe"):
        train(job, RecordedProgress())


def test_unknown_data_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "baseline", "--data", "cifar", "--out", str(tmp_path / "x")]) == 1
    error = capsys.readouterr().err
    assert "cifar10" in error
    assert "Traceback" not in error
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("n", "expected"), [(3, [0, 4, 9]), (10, range(10)), (99, range(10))])
def test_a_sample_of_a_folder_has_all_classes(n: int, expected: list[int]) -> None:
    """The images of a folder come class by class: the first n would be of the first classes."""
    np.testing.assert_array_equal(_spaced(np.arange(10), n), expected)


def test_a_folder_is_told_by_its_name(
    capsys: pytest.CaptureFixture[str], run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "cats[old]" / "[b]x[/c]"
    with TrainingConsole() as console:
        console.count(str(folder), 1, 2)
        console.print_result(dataclasses.replace(run, folder=shutil.copytree(run.folder, folder)))
    assert f"Written to {folder}/:" in capsys.readouterr().err


def test_folds_validate_every_image_once_and_leave_the_test_alone() -> None:
    dataset = load_dataset("digits")
    splits = list(folds(dataset, 4, seed=0))
    validated = np.concatenate([split.val for split in splits])
    np.testing.assert_array_equal(np.sort(validated), dataset.parts["train"])
    for split in splits:
        assert len(split.test) == 0
        assert not np.isin(split.train, dataset.parts["test"]).any()


def test_the_interval_over_folds_is_students() -> None:
    """By hand: mean 0.5, deviation 0.1, t(0.975, 2) = 4.302653, half = t * 0.1 / sqrt(3)."""
    summary = Summary("x", tuple(Fold(n, 1.0, Accuracy(n, 10)) for n in (4, 5, 6)))
    assert summary.mean == pytest.approx(0.5)
    assert summary.deviation == pytest.approx(0.1)
    assert summary.interval == pytest.approx((0.5 - 0.248414, 0.5 + 0.248414), abs=1e-5)


def test_the_interval_over_folds_is_one_of_accuracies() -> None:
    for low, high in ((95, 100), (0, 5)):
        folds_ = tuple(Fold(i, 1.0, Accuracy(n, 100)) for i, n in enumerate([low, high, high]))
        bounds = Summary("x", folds_).interval
        assert 0 <= bounds[0] < bounds[1] <= 1


def test_folds_need_images_of_each_class() -> None:
    dataset = load_dataset("digits")
    few = dataset.parts["train"]
    few = np.concatenate([few[dataset.targets[few] != 3], few[dataset.targets[few] == 3][:4]])
    scarce = dataclasses.replace(dataset, parts={**dataset.parts, "train": np.sort(few)})
    assert len(list(folds(scarce, 4, seed=0))) == 4
    with pytest.raises(DataError, match=r"5 folds need 5 images of each class .* '3' has 4"):
        list(folds(scarce, 5, seed=0))


def test_crossval_goes_on_fold_by_fold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cv"
    command = ["crossval", "baseline", "--epochs", "1", "--folds", "2", "--out", str(out)]
    assert main(command) == 0
    first = json.loads((out / "crossval.json").read_text())
    assert [fold["validation"]["n"] for fold in first["folds"]] == [719, 718]
    record = (out / "fold-1" / "run.json").read_bytes()
    (out / "crossval.json").unlink()
    assert main([*command, "--resume"]) == 0
    assert (out / "fold-1" / "run.json").read_bytes() == record
    assert json.loads((out / "crossval.json").read_text()) == first
    fold = load_run(out / "fold-1")
    assert (fold.result.test, fold.result.confidence) == (None, None)
    assert (fold.folder / "val_logits.npy").is_file()
    assert "Mean" in capsys.readouterr().out


def test_a_stack_is_trained_with_a_hint_where_an_epoch_has_few_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "8s2-16s2", "--epochs", "1", "--out"]
    assert main([*words, str(tmp_path / "few")]) == 0
    assert "Note: an epoch has 3 steps of 512 images." in capsys.readouterr().err
    assert main([*words, str(tmp_path / "more"), "--batch-size", "64"]) == 0
    assert "Note: an epoch has" not in capsys.readouterr().err
    assert read_record(tmp_path / "few").recipe.model == "8s2-16s2"
    with pytest.raises(SystemExit):
        main(["run", "8s3", "--out", str(tmp_path / "none")])
    assert "invalid choice: '8s3'" in capsys.readouterr().err
