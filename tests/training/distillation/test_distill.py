"""`python -m training distill` on real digits: the loss, the pool of answers, what is refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from training.cli import main
from training.data import load_dataset, split
from training.data.pipeline import batches
from training.distillation.loss import accuracy, distillation_loss, with_teacher_logits
from training.distillation.teacher import read_teacher, student_recipe, teacher_logits
from training.optim.build import loss
from training.recipes import Recipe
from training.run_folder import RunError, load_run
from training.tf_keras_setup import keras, tf
from training.train import train

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
def cache(tmp_path_factory):
    """The pools of this module, in a folder of their own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYSIGHT_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "teacher"
    assert main(["run", "baseline", "--out", str(out), "--epochs", "3", "--seed", "3"]) == 0
    return read_teacher(out)


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def student(teacher, dataset, tmp_path_factory):
    """A run that was never stopped."""
    out = tmp_path_factory.mktemp("runs") / "student"
    return _train(teacher, dataset, out, _Watch())


class _Watch:
    """A `training.progress.Progress`; stops the run after some epoch."""

    def __init__(self, stop_after=None):
        self.told, self._stop_after = [], stop_after

    def started(self, done, epochs): ...

    def count(self, what, done, total):
        self.told.append(what)

    def finished_epoch(self, epoch, row):
        if epoch + 1 == self._stop_after:
            raise KeyboardInterrupt


def _train(teacher, dataset, out, watch, **more):
    return train(
        student_recipe(STUDENT, [teacher]), dataset, out, watch, teachers=[teacher], **more
    )


def test_the_loss_by_hand():
    """T^2 w KL + (1 - w) cross-entropy, with numpy."""
    recipe = Recipe("baseline", teacher="a hash", temperature=3.0, teacher_weight=0.7)
    random = np.random.default_rng(0)
    targets = np.array([2, 0, 1, 1])
    teachers, students = random.normal(size=(2, 4, 3)).astype(np.float32)

    def log_softmax(x):
        return x - np.log(np.exp(x).sum(axis=1, keepdims=True))

    soft, answer = log_softmax(teachers / 3), log_softmax(students / 3)
    divergence = (np.exp(soft) * (soft - answer)).sum(axis=1)
    entropy = -log_softmax(students)[np.arange(4), targets]
    got = loss(recipe, 3)(with_teacher_logits(targets, np.arange(4), teachers), students)
    np.testing.assert_allclose(got, 0.7 * 9 * divergence + 0.3 * entropy, rtol=1e-5)


def test_a_student_that_answers_as_its_teacher_has_no_loss():
    targets, logits = np.arange(5), np.random.default_rng(0).normal(size=(5, 5))
    recipe = Recipe("baseline", teacher="a hash", teacher_weight=1.0)
    answers = with_teacher_logits(targets, np.arange(5), logits)
    np.testing.assert_allclose(loss(recipe, 5)(answers, logits.astype("f4")), 0, atol=1e-6)


def test_without_answers_the_loss_and_the_accuracy_are_of_the_labels():
    targets, logits = np.array([0, 1, 2, 2]), np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    recipe = Recipe("baseline", teacher="a hash", label_smoothing=0.1)
    alone = loss(replace(recipe, teacher=None), 3)
    both = distillation_loss(recipe, 3, alone)
    np.testing.assert_array_equal(both(tf.constant(targets), logits), alone(targets, logits))
    for form in (targets, targets[:, None], with_teacher_logits(targets, np.arange(4), logits)):
        np.testing.assert_array_equal(
            accuracy(tf.constant(form), tf.constant(logits)), [1, 1, 1, 0]
        )


def test_the_teacher_answers_for_the_very_pixels_of_the_epoch(teacher, dataset):
    recipe = replace(student_recipe(STUDENT, [teacher]), cutout=0.25, mixup=0.5, teacher_weight=1.0)
    splits = split(dataset, recipe.data_seed, recipe.val_fraction)
    answers, _ = teacher_logits([teacher], recipe, dataset, splits, _Watch().count)
    model = keras.models.load_model(teacher.run.model_file)
    from training.data.augment import Augmentation

    for epoch in (1, 3):  # both see the second copy
        params = Augmentation.of(recipe).draw(
            recipe.copy(epoch), dataset.images.shape, splits.train
        )
        images = batches(dataset.images, dataset.targets, splits.train, 100, params=params)
        wanted = model.predict(images, verbose=0)
        np.testing.assert_allclose(answers(epoch), wanted, rtol=2e-3, atol=2e-3)
    assert not np.array_equal(answers(0), answers(1))


def test_several_teachers_teach_the_mean_of_their_answers(teacher, student, dataset):
    other = read_teacher(student.folder)
    both = student_recipe(STUDENT, [teacher, other])
    assert both.teacher == f"{teacher.sha256},{other.sha256}"
    splits = split(dataset, both.data_seed, both.val_fraction)
    count = _Watch().count
    answers = [
        teacher_logits(those, both, dataset, splits, count)[0](1).astype(float)
        for those in ([teacher], [other], [teacher, other])
    ]
    np.testing.assert_allclose(answers[2], (answers[0] + answers[1]) / 2, rtol=2e-3, atol=2e-3)
    assert not np.allclose(answers[0], answers[1], atol=0.1)


def test_copies_are_answered_once_and_taken_up_one_by_one(teacher, dataset, cache):
    recipe = replace(student_recipe(STUDENT, [teacher]), teacher_views=3)
    splits = split(dataset, recipe.data_seed, recipe.val_fraction)
    shutil.rmtree(cache / "teachers", ignore_errors=True)
    first = _Watch()
    teacher_logits([teacher], recipe, dataset, splits, first.count)
    assert len(set(first.told)) == 3
    files = sorted((cache / "teachers").rglob("*.npy"))
    files[1].unlink()
    again = _Watch()
    teacher_logits([teacher], recipe, dataset, splits, again.count)
    assert set(again.told) == {"teacher answers copy 2 of 3"}
    assert sorted((cache / "teachers").rglob("*.npy")) == files
    other_seed = _Watch()  # another student of the same teacher
    teacher_logits([teacher], replace(recipe, seed=99), dataset, splits, other_seed.count)
    assert other_seed.told == []


def test_the_record_names_the_teacher_and_its_split(student, teacher):
    record = student.record
    assert record["recipe"]["teacher"] == teacher.sha256
    assert record["recipe"]["split_seed"] == 3
    assert [one["model"] for one in record["teachers"]] == ["baseline"]
    assert record["data"]["splits"] == teacher.run.record["data"]["splits"]
    assert Recipe(**record["recipe"]) == student_recipe(STUDENT, [teacher])
    assert record["test"]["value"] > 0.3
    assert record["confidence"]["temperature"] > 0
    # As a teacher itself, it names its own.
    assert read_teacher(student.folder).as_json()["teachers"] == record["teachers"]
    assert "teachers" not in teacher.as_json()


def test_a_stopped_student_ends_as_the_unbroken_one(student, teacher, dataset, tmp_path):
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        _train(teacher, dataset, out, _Watch(stop_after=2))
    run = _train(teacher, dataset, out, _Watch(), resume=True)
    wanted, got = (np.load(path.folder / "test_logits.npy") for path in (student, run))
    np.testing.assert_allclose(got, wanted, atol=1e-2)


def test_the_saved_model_is_the_average(student):
    """The last validation accuracy of the history was the average's."""
    last = (student.folder / "history.csv").read_text().splitlines()[-1].split(",")
    assert float(last[4]) == pytest.approx(student.record["validation"]["value"], abs=1e-6)


def test_a_teacher_of_another_split_is_refused(teacher, tmp_path, capsys):
    command = ["distill", "baseline", "--teacher", str(teacher.run.folder), "--epochs", "1"]
    assert main([*command, "--out", str(tmp_path / "x"), "--val-fraction", "0.3"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("training: ")
    assert last.endswith("cannot teach here: its training and validation images are not this run's")
    assert not (tmp_path / "x").exists()


def test_a_teacher_of_other_data_is_refused(teacher, dataset):
    splits = split(dataset, 3)
    with pytest.raises(RunError, match="other data"):
        teacher.check(replace(dataset, fingerprint="0" * 64), splits)


def test_an_unfinished_run_teaches_nobody(tmp_path, capsys):
    (tmp_path / "run.json").write_text(
        json.dumps({"format": 1, "status": "training", "recipe": {"epochs": 9}, "epochs_done": 2})
    )
    command = ["distill", "edge_s", "--teacher", str(tmp_path), "--out", str(tmp_path / "x")]
    assert main(command) == 1
    assert "is not finished" in capsys.readouterr().err


def test_the_taught_baseline_is_the_baseline_on_a_device():
    """Weight for weight; only what it drops in training differs."""
    from training.models.registry import build
    from training.recipes import RECIPES

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


def test_the_taught_baseline_needs_a_teacher(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["run", "baseline_distilled", "--out", str(tmp_path / "x")])
    assert "invalid choice" in capsys.readouterr().err


def test_a_student_can_be_loaded_and_taught_from(student):
    assert load_run(student.folder).record["status"] == "finished"
    assert student_recipe(STUDENT, [read_teacher(student.folder)]).split_seed == 3
