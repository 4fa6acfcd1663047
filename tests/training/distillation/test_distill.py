"""`python -m training distill` on real digits: the loss, the cached logits, what is refused."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("tensorflow")

from tests.training.recorded_progress import RecordedProgress
from tests.training.sample_run import sample_record
from training.api import prepare
from training.cli import main
from training.data import Dataset, load_dataset, split
from training.data.augment import Augmentation
from training.data.pipeline import batches
from training.distillation.loss import accuracy, distillation_loss, with_teacher_logits
from training.distillation.teacher import Teacher, read_teacher, student_recipe, teacher_logits
from training.models.registry import build
from training.optim.build import loss
from training.recipes import RECIPES, Recipe
from training.run_folder import Run, RunError, write_record
from training.tf_keras_setup import keras, tf
from training.train import Job, train

STUDENT = Recipe(
    "baseline",
    epochs=4,
    batch_size=64,
    augment=True,
    alternate_flips=True,
    ema_decay=0.9,
    teacher_views=2,
    seed=5,
)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The teacher logits of this module, in a folder of their own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYSIGHT_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    out = tmp_path_factory.mktemp("runs") / "teacher"
    assert main(["run", "baseline", "--out", str(out), "--epochs", "3", "--seed", "3"]) == 0
    return read_teacher(out)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load_dataset("digits")


@pytest.fixture(scope="module")
def student(teacher: Teacher, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that was never stopped."""
    out = tmp_path_factory.mktemp("runs") / "student"
    run = train(_job(teacher, dataset, out), RecordedProgress())
    assert run is not None
    return run


def _job(teacher: Teacher, dataset: Dataset, out: Path) -> Job:
    return Job(student_recipe(STUDENT, [teacher]), dataset, out, teachers=[teacher])


def test_the_loss_by_hand() -> None:
    """T^2 w KL + (1 - w) cross-entropy, with numpy."""
    recipe = Recipe("baseline", teacher="a hash", temperature=3.0, teacher_weight=0.7)
    random = np.random.default_rng(0)
    targets = np.array([2, 0, 1, 1])
    teachers, students = random.normal(size=(2, 4, 3)).astype(np.float32)

    def log_softmax(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(x - np.log(np.exp(x).sum(axis=1, keepdims=True)))

    soft, answer = log_softmax(teachers / 3), log_softmax(students / 3)
    divergence = (np.exp(soft) * (soft - answer)).sum(axis=1)
    entropy = -log_softmax(students)[np.arange(4), targets]
    actual = loss(recipe, 3)(with_teacher_logits(targets, np.arange(4), teachers), students)
    np.testing.assert_allclose(actual, 0.7 * 9 * divergence + 0.3 * entropy, rtol=1e-5)


def test_a_student_with_its_teachers_logits_has_no_loss() -> None:
    targets, logits = np.arange(5), np.random.default_rng(0).normal(size=(5, 5))
    recipe = Recipe("baseline", teacher="a hash", teacher_weight=1.0)
    answers = with_teacher_logits(targets, np.arange(5), logits)
    np.testing.assert_allclose(loss(recipe, 5)(answers, logits.astype("f4")), 0, atol=1e-6)


def test_without_teacher_logits_the_loss_and_the_accuracy_are_of_the_labels() -> None:
    targets, logits = np.array([0, 1, 2, 2]), np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    recipe = Recipe("baseline", teacher="a hash", label_smoothing=0.1)
    alone = loss(replace(recipe, teacher=None), 3)
    both = distillation_loss(recipe, 3, alone)
    np.testing.assert_array_equal(both(tf.constant(targets), logits), alone(targets, logits))
    for form in (targets, targets[:, None], with_teacher_logits(targets, np.arange(4), logits)):
        np.testing.assert_array_equal(
            accuracy(tf.constant(form), tf.constant(logits)), [1, 1, 1, 0]
        )


def test_the_teachers_logits_are_for_the_very_pixels_of_the_epoch(
    teacher: Teacher, dataset: Dataset
) -> None:
    recipe = replace(student_recipe(STUDENT, [teacher]), cutout=0.25, mixup=0.5, teacher_weight=1.0)
    splits = split(dataset, recipe.data_seed, recipe.val_fraction)
    logits = teacher_logits([teacher], recipe, dataset, splits, RecordedProgress().count)
    model = keras.models.load_model(teacher.run.model_file)
    augmentation = Augmentation.of(recipe)
    assert augmentation is not None
    for epoch in (1, 3):  # both see the second view
        params = augmentation.draw(recipe.view(epoch), dataset.images.shape, splits.train)
        images = batches(dataset.images, dataset.targets, splits.train, 100, params=params)
        expected = model.predict(images, verbose=0)
        np.testing.assert_allclose(logits.of_epoch(epoch), expected, rtol=2e-3, atol=2e-3)
    assert not np.array_equal(logits.of_epoch(0), logits.of_epoch(1))


def test_a_mirrored_image_has_the_logits_of_the_image(
    teacher: Teacher, student: Run, dataset: Dataset
) -> None:
    """Where the teacher was trained on mirrored images too: the mean over both."""
    mirrored = replace(dataset, images=dataset.images[:, :, ::-1], fingerprint="mirrored")
    with_augmentation = read_teacher(student.folder)
    for one in (teacher, with_augmentation):
        recipe = student_recipe(Recipe("baseline", epochs=1), [one])
        splits = split(dataset, recipe.data_seed, recipe.val_fraction)
        count = RecordedProgress().count
        of_image, of_mirror = (
            teacher_logits([one], recipe, data, splits, count).of_epoch(0)
            for data in (dataset, mirrored)
        )
        model = keras.models.load_model(one.run.model_file)
        alone, other = (
            model.predict(data.images[splits.train] / np.float32(255), verbose=0)
            for data in (dataset, mirrored)
        )
        assert not np.allclose(alone, other, atol=0.1)
        if one is with_augmentation:
            np.testing.assert_allclose(of_image, of_mirror, rtol=2e-3, atol=2e-3)
            np.testing.assert_allclose(of_image, (alone + other) / 2, rtol=2e-3, atol=2e-3)
        else:
            np.testing.assert_allclose(of_image, alone, rtol=2e-3, atol=2e-3)


def test_several_teachers_give_the_mean_of_their_logits(
    teacher: Teacher, student: Run, dataset: Dataset
) -> None:
    other = read_teacher(student.folder)
    both = student_recipe(STUDENT, [teacher, other])
    assert both.teacher == f"{teacher.sha256},{other.sha256}"
    splits = split(dataset, both.data_seed, both.val_fraction)
    count = RecordedProgress().count
    answers = [
        teacher_logits(those, both, dataset, splits, count).of_epoch(1).astype(float)
        for those in ([teacher], [other], [teacher, other])
    ]
    np.testing.assert_allclose(answers[2], (answers[0] + answers[1]) / 2, rtol=2e-3, atol=2e-3)
    assert not np.allclose(answers[0], answers[1], atol=0.1)


def test_the_logits_of_a_view_are_computed_once(
    teacher: Teacher, dataset: Dataset, cache: Path
) -> None:
    recipe = replace(student_recipe(STUDENT, [teacher]), teacher_views=3)
    splits = split(dataset, recipe.data_seed, recipe.val_fraction)
    shutil.rmtree(cache / "teachers", ignore_errors=True)
    first = RecordedProgress()
    teacher_logits([teacher], recipe, dataset, splits, first.count)
    assert len(set(first.counted)) == 3
    files = sorted((cache / "teachers").rglob("*.npy"))
    files[1].unlink()
    again = RecordedProgress()
    teacher_logits([teacher], recipe, dataset, splits, again.count)
    assert set(again.counted) == {"logits of teacher, view 2 of 3"}
    assert sorted((cache / "teachers").rglob("*.npy")) == files
    other_seed = RecordedProgress()  # another student of the same teacher
    teacher_logits([teacher], replace(recipe, seed=99), dataset, splits, other_seed.count)
    assert other_seed.counted == []


def test_the_record_names_the_teacher_and_its_split(student: Run, teacher: Teacher) -> None:
    record, result = student.record, student.result
    assert record.recipe.teacher == teacher.sha256
    assert record.recipe.split_seed == 3
    assert [one.model for one in record.teachers] == ["baseline"]
    assert record.teachers == (teacher.record(),)
    assert record.data.splits == teacher.run.record.data.splits
    assert record.recipe == student_recipe(STUDENT, [teacher])
    assert result.test is not None
    assert result.test.value > 0.3
    # As a teacher itself, it names its own.
    assert read_teacher(student.folder).record().teachers == record.teachers
    assert teacher.record().teachers == ()


def test_a_stopped_student_ends_as_the_unbroken_one(
    student: Run, teacher: Teacher, dataset: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "stopped"
    job, progress = _job(teacher, dataset, out), RecordedProgress()
    with pytest.raises(KeyboardInterrupt):
        train(job, RecordedProgress(stop_after=2))
    run = train(replace(job, if_exists="resume"), progress)
    assert run is not None
    assert (progress.resumed_after, progress.epochs) == (2, [2, 3])
    expected, actual = (np.load(path.folder / "test_logits.npy") for path in (student, run))
    np.testing.assert_allclose(actual, expected, atol=1e-2)


def test_the_saved_model_is_the_average(student: Run) -> None:
    """The last validation accuracy of the history was the average's."""
    last = (student.folder / "history.csv").read_text().splitlines()[-1].split(",")
    assert float(last[4]) == pytest.approx(student.result.validation.value, abs=1e-6)


def test_a_teacher_of_another_split_is_refused(teacher: Teacher, dataset: Dataset) -> None:
    with pytest.raises(RunError, match="has another split: its train images are not these"):
        teacher.check(dataset, split(dataset, 3, 0.3))


def test_a_student_cannot_have_another_split(
    teacher: Teacher, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has that of its teachers, so that it validates on images that they have not seen."""
    out = tmp_path / "x"
    command = ["distill", "baseline", "--teacher", str(teacher.run.folder), "--out", str(out)]
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--val-fraction", "0.3"])
    assert stopped.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith("unrecognized arguments: --val-fraction 0.3")
    with pytest.raises(ValueError, match="val_fraction: a student has the split of its teachers"):
        prepare("baseline", dataset, out, teachers=[teacher.run], val_fraction=0.3)
    assert not out.exists()


def test_a_teacher_of_other_data_is_refused(teacher: Teacher, dataset: Dataset) -> None:
    splits = split(dataset, 3)
    with pytest.raises(RunError, match="other data"):
        teacher.check(replace(dataset, fingerprint="0" * 64), splits)


def test_an_unfinished_run_is_no_teacher(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_record(tmp_path, sample_record())
    command = ["distill", "edge_s", "--teacher", str(tmp_path), "--out", str(tmp_path / "x")]
    assert main(command) == 1
    assert "is not finished" in capsys.readouterr().err


def test_the_distilled_baseline_is_the_baseline_on_a_device() -> None:
    """Weight for weight; only what it drops in training differs."""
    plain, distilled = (
        build(RECIPES[name], (32, 32, 3), 10) for name in ("baseline", "baseline_distilled")
    )
    distilled.set_weights(plain.get_weights())
    images = np.random.default_rng(0).random((4, 32, 32, 3), dtype=np.float32)
    np.testing.assert_array_equal(
        plain.predict(images, verbose=0), distilled.predict(images, verbose=0)
    )
    assert [layer.name for layer in plain.layers] == [layer.name for layer in distilled.layers]
    rates = {layer.rate for layer in distilled.layers if isinstance(layer, keras.layers.Dropout)}
    assert rates == {0}


def test_the_distilled_baseline_needs_a_teacher(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["run", "baseline_distilled", "--out", str(tmp_path / "x")])
    assert "invalid choice" in capsys.readouterr().err
