"""A finished run as a teacher: what it answers to every image as its student will see it.

The teacher is the dear part of a lesson. So the epochs go round in a pool of augmented copies of
the training images, and the answers to each copy are computed once and kept in the user's cache.
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
from training.data import Dataset, Splits
from training.data.augment import Augmentation
from training.data.pipeline import batches
from training.finalize import EVALUATION_BATCH
from training.progress import ProgressCallback
from training.recipes import Recipe
from training.run_folder import Run, RunError, load_run
from training.tf_keras_setup import keras

_FORMAT = 1
"""Raised when the same parts of a key would give other answers."""


@dataclass(frozen=True, slots=True)
class Teacher:
    """A finished run that others learn from."""

    run: Run
    sha256: str
    """Of its model file."""

    def check(self, dataset: Dataset, splits: Splits) -> None:
        """Raises RunError unless the teacher was trained on the very same images.

        Else it would have seen images that the student is validated or tested on.
        """
        data = self.run.record["data"]
        if data["fingerprint"] != dataset.fingerprint:
            raise RunError(f"{self.run.folder} cannot teach here: it was trained on other data")
        own = {name: part["sha256"] for name, part in data["splits"].items()}
        ours = splits.hashes()
        if any(own[name] != ours[name] for name, indices in splits.items() if len(indices)):
            raise RunError(
                f"{self.run.folder} cannot teach here: its training and validation images are "
                "not this run's"
            )

    def as_json(self) -> dict[str, Any]:
        """What a student's run.json says of it."""
        record = self.run.record
        return {
            "sha256": self.sha256,
            "run": self.run.folder.resolve().name,
            "model": record["recipe"]["model"],
            "recipe": record["recipe"],
            "test": record["test"],
            "training_seconds": record["seconds"]["training"],
            # A teacher may have been taught itself.
            **({"teachers": record["teachers"]} if "teachers" in record else {}),
        }


def read_teacher(folder: Path) -> Teacher:
    """Reads a finished run. Raises RunError where there is none."""
    run = load_run(folder)
    return Teacher(run, hashlib.sha256(run.model_file.read_bytes()).hexdigest())


def student_recipe(
    recipe: Recipe, teachers: Sequence[Teacher], *, val_fraction: float | None = None
) -> Recipe:
    """The recipe of a student: it shares the teachers' split, whatever its own seed is."""
    own = Recipe(**teachers[0].run.record["recipe"])
    return replace(
        recipe,
        teacher=",".join(teacher.sha256 for teacher in teachers),
        split_seed=own.data_seed,
        val_fraction=own.val_fraction if val_fraction is None else val_fraction,
    )


TeacherLogits = Callable[[int], NDArray[np.float16]]
"""The teachers' logits, (training images, classes), for what an epoch, counted from 0, shows."""


def teacher_logits(
    teachers: Sequence[Teacher],
    recipe: Recipe,
    dataset: Dataset,
    splits: Splits,
    count: ProgressCallback,
) -> tuple[TeacherLogits, float]:
    """What the teachers answer for every epoch of the recipe, and the seconds that took.

    Of several, the mean of their logits: that of their probabilities, taken geometrically.

    Each copy is written as soon as it is answered, so that a stopped run goes on after it. The
    teachers compute by Keras' global policy; logits are kept in half precision.
    """
    start = time.perf_counter()
    pools = [_pool(teacher, recipe, dataset, splits, count) for teacher in teachers]

    def of_epoch(epoch: int) -> NDArray[np.float16]:
        teacher_views = [np.load(pool[recipe.copy(epoch)]).astype(np.float32) for pool in pools]
        return np.asarray(np.mean(teacher_views, axis=0), dtype=np.float16)

    return of_epoch, time.perf_counter() - start


def _pool(
    teacher: Teacher, recipe: Recipe, dataset: Dataset, splits: Splits, count: ProgressCallback
) -> list[Path]:
    """One teacher's answers, a file for each copy; makes those that are missing."""
    entry = cache_folder() / "teachers" / _key(teacher, recipe, dataset, splits)
    entry.mkdir(parents=True, exist_ok=True)
    teacher_views = min(recipe.teacher_views, recipe.epochs)
    files = [entry / f"copy-{copy:03d}.npy" for copy in range(teacher_views)]
    missing = [copy for copy in range(teacher_views) if not files[copy].is_file()]
    model = _load(teacher) if missing else None
    for copy in missing:
        what = f"{teacher.run.folder.name} answers copy {copy + 1} of {teacher_views}"
        answers = _answers(model, recipe, dataset, splits.train, copy, count, what)
        content = io.BytesIO()
        np.save(content, answers)
        write_bytes(files[copy], content.getvalue())
    return files


def _load(teacher: Teacher) -> Any:
    """The teacher under the global policy; its last layer stays in float32, as in training."""
    trained = keras.models.load_model(teacher.run.model_file)
    policy = keras.mixed_precision.global_policy().name

    def under_policy(layer: Any) -> Any:
        last = layer.name == trained.layers[-1].name
        dtype = "float32" if last else policy
        return layer.__class__.from_config({**layer.get_config(), "dtype": dtype})

    model = keras.models.clone_model(trained, clone_function=under_policy)
    model.set_weights(trained.get_weights())
    return model


def _answers(
    model: Any,
    recipe: Recipe,
    dataset: Dataset,
    train: NDArray[np.int64],
    copy: int,
    count: ProgressCallback,
    what: str,
) -> NDArray[np.float16]:
    """float16 (len(train), classes), in the order of `train`."""
    augmentation = Augmentation.of(recipe)
    params = augmentation.draw(copy, dataset.images.shape, train) if augmentation else None
    pipeline = batches(dataset.images, dataset.targets, train, EVALUATION_BATCH, params=params)
    steps = -(-len(train) // EVALUATION_BATCH)
    report = keras.callbacks.LambdaCallback(
        on_predict_batch_end=lambda batch, logs: count(what, batch + 1, steps)  # noqa: ARG005
    )
    return np.asarray(model.predict(pipeline, verbose=0, callbacks=[report]), dtype=np.float16)


def _key(teacher: Teacher, recipe: Recipe, dataset: Dataset, splits: Splits) -> str:
    """A name for the pool: the hash of all that decides the answers, but for the copy's number."""
    parts = {
        "format": _FORMAT,
        "teacher": teacher.sha256,
        "data": dataset.fingerprint,
        "train": splits.hashes()["train"],
        "augmentation": repr(Augmentation.of(recipe)),
        "precision": keras.mixed_precision.global_policy().name,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
