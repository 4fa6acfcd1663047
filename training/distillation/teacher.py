"""A finished run as a teacher: its logits for every training image as the student will see it.

The teacher's forward passes are the expensive part of a distillation. So the epochs cycle through
a fixed number of augmented views of the training images, and the logits of each view are computed
once and kept in the user's cache.

A teacher's logits are the mean over the image and its horizontal mirror (test-time augmentation;
Jordan 2024, arXiv 2404.00498, "multi-crop" evaluation). That takes twice the time, and makes
`airbench` on CIFAR-10 0.8 points more accurate (92.2 % to 93.0 % of the test images). A teacher
that was trained without augmentation has never seen a mirrored image, which may well be of another
class (digits): its logits are those of the image alone.
"""

import hashlib
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.files import cache_folder, write_bytes
from tinysight.provenance import TeacherRecord
from tinysight.records import to_json
from training.data import Dataset, Splits, hash_indices
from training.data.augment import Augmentation
from training.finalize import predict
from training.progress import ProgressCallback
from training.recipes import Recipe
from training.run_folder import Run, RunError, load_run
from training.test_time_augmentation import augmented
from training.tf_keras_setup import keras

_FORMAT = 2
"""Raised when the same parts of a cache key would give other logits."""


@dataclass(frozen=True, slots=True)
class Teacher:
    """A finished run that a student is distilled from."""

    run: Run
    sha256: str
    """Of its model file."""

    def check(self, dataset: Dataset, splits: Splits) -> None:
        """Raises RunError unless the teacher was trained on the very same images.

        Else it might have been trained on images that validate or test the student.
        """
        data = self.run.record.data
        if data.fingerprint != dataset.fingerprint:
            raise RunError(f"{self.run.folder} was trained on other data")
        hashes = splits.hashes()
        for name, indices in splits.items():
            if len(indices) and getattr(data.splits, name).sha256 != hashes[name]:
                raise RunError(
                    f"{self.run.folder} has another split: its {name} images are not these"
                )

    def record(self) -> TeacherRecord:
        """What a student's run.json says of it."""
        record, result = self.run.record, self.run.result
        return TeacherRecord(
            sha256=self.sha256,
            run=self.run.folder.resolve().name,
            model=record.recipe.model,
            recipe=to_json(record.recipe),
            test=result.test,
            training_seconds=result.seconds.training,
            teachers=record.teachers,
        )


def read_teacher(folder: Path) -> Teacher:
    """Reads a finished run. Raises RunError where there is none."""
    run = load_run(folder)
    return Teacher(run, hashlib.sha256(run.model_file.read_bytes()).hexdigest())


def student_recipe(recipe: Recipe, teachers: Sequence[Teacher]) -> Recipe:
    """The recipe of a student: it has the teachers' split, whatever its own seed is.

    Args:
        recipe: of the student's model.
        teachers: at least one.
    """
    first = teachers[0].run.record.recipe
    return replace(
        recipe,
        teacher=",".join(teacher.sha256 for teacher in teachers),
        split_seed=first.data_seed,
        val_fraction=first.val_fraction,
    )


@dataclass(frozen=True, slots=True)
class TeacherLogits:
    """The mean logits of one or more teachers, for what each epoch of a student shows."""

    of_epoch: Callable[[int], NDArray[np.float16]]
    """From an epoch, counted from 0, to float16 (training images, classes)."""
    of_mirrors: bool
    """Whether they are those of the mirrored images too, so that the epochs can alternate between
    both and show twice as many views at no cost."""
    seconds: float
    """That it took to compute those that were not cached."""


def teacher_logits(
    teachers: Sequence[Teacher],
    recipe: Recipe,
    dataset: Dataset,
    splits: Splits,
    on_progress: ProgressCallback,
) -> TeacherLogits:
    """Computes the teachers' logits for every epoch of a recipe, or finds them in the cache.

    The mean of several teachers' logits is the geometric mean of their probabilities. Each teacher
    that was trained with augmentation sees every image twice, the second time mirrored.

    Each view is written as soon as it is computed, so that an interrupted run continues after it.
    The teachers run under Keras' global policy; logits are kept in half precision.
    """
    start = time.perf_counter()
    files = [_cached_views(one, recipe, dataset, splits.train, on_progress) for one in teachers]

    def of_epoch(epoch: int) -> NDArray[np.float16]:
        view = recipe.view(epoch)
        logits = [np.load(of_teacher[view]).astype(np.float32) for of_teacher in files]
        return np.asarray(np.mean(logits, axis=0), dtype=np.float16)

    of_mirrors = all(_sees_mirror(teacher) for teacher in teachers)
    return TeacherLogits(of_epoch, of_mirrors, time.perf_counter() - start)


def _sees_mirror(teacher: Teacher) -> bool:
    recipe = teacher.run.record.recipe
    return recipe.augment and recipe.flip


def _cached_views(
    teacher: Teacher,
    recipe: Recipe,
    dataset: Dataset,
    train: NDArray[np.int64],
    on_progress: ProgressCallback,
) -> list[Path]:
    """One teacher's logits, a file for each view, float16 (len(train), classes)."""
    entry = cache_folder() / "teachers" / _key(teacher, recipe, dataset, train)
    entry.mkdir(parents=True, exist_ok=True)
    count = min(recipe.teacher_views, recipe.epochs)
    files = [entry / f"view-{view:03d}.npy" for view in range(count)]
    missing = [view for view in range(count) if not files[view].is_file()]
    model = _load(teacher) if missing else None
    augmentation = Augmentation.of(recipe)
    for view in missing:
        what = f"logits of {teacher.run.folder.name}, view {view + 1} of {count}"
        params = augmentation.draw(view, dataset.images.shape, train) if augmentation else None
        logits = predict(model, dataset.images, train, on_progress, what, params)
        content = io.BytesIO()
        np.save(content, logits.astype(np.float16))
        write_bytes(files[view], content.getvalue())
    return files


def _load(teacher: Teacher) -> Any:
    """The model of a teacher's logits, under the global policy.

    Its last layer stays in float32, as in training.
    """
    trained = keras.models.load_model(teacher.run.model_file)
    policy = keras.mixed_precision.global_policy().name

    def under_policy(layer: Any) -> Any:
        last = layer.name == trained.layers[-1].name
        dtype = "float32" if last else policy
        return layer.__class__.from_config({**layer.get_config(), "dtype": dtype})

    model = keras.models.clone_model(trained, clone_function=under_policy)
    model.set_weights(trained.get_weights())
    return augmented(model, "mirror" if _sees_mirror(teacher) else "none")


def _key(teacher: Teacher, recipe: Recipe, dataset: Dataset, train: NDArray[np.int64]) -> str:
    """The name of the cache entry: a hash of all that decides the logits, except the view."""
    parts = {
        "format": _FORMAT,
        "teacher": teacher.sha256,
        "data": dataset.fingerprint,
        "train": hash_indices(train),
        "augmentation": to_json(Augmentation.of(recipe)),
        "precision": keras.mixed_precision.global_policy().name,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
