"""Trains one model into a run folder."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import checkpoint
from training.data import Dataset, Indices, Splits, split
from training.distillation.teacher import Teacher, TeacherLogits, teacher_logits
from training.distribute import is_chief, strategy
from training.environment import describe_device
from training.finalize import Trained, finalize, predict
from training.fit import fit
from training.frozen_features import cached_features
from training.models import airbench, vgg16
from training.models.baseline import Shape
from training.models.registry import build
from training.optim.precision import set_policy
from training.progress import Progress
from training.recipes import Recipe
from training.run_folder import Run, RunError, read_record, write_record
from training.tf_keras_setup import keras, tf


def train(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    progress: Progress,
    *,
    splits: Splits | None = None,
    weights: Path | None = None,
    teachers: Sequence[Teacher] = (),
    resume: bool = False,
    overwrite: bool = False,
) -> Run | None:
    """Trains `recipe` on `dataset` and writes the run folder `out`.

    With `resume`, a run that was stopped goes on after its last finished epoch; one that had not
    begun is begun, and a finished one is returned as it is. Of several workers, only the chief
    writes, and only it gets a Run back; `out` must be a folder that all of them see.

    Args:
        splits: instead of the recipe's own; without test images, none are reported.
        weights: VGG16's ImageNet weights; see `training.models.vgg16.read_weights`.
        teachers: those that the recipe, from `training.distillation.teacher.taught`, names.

    Raises:
        RunError: `out` exists and neither `resume` nor `overwrite` is given; or the run to
            resume was begun with another recipe or other data; or a teacher was.
        WeightsError: the recipe needs VGG16's weights, and they cannot be had.
    """
    devices = strategy()  # first: with several hosts, TensorFlow insists on it
    splits = splits or split(dataset, recipe.data_seed, recipe.val_fraction)
    record = _record(recipe, dataset, splits)
    for teacher in teachers:
        teacher.check(dataset, splits)
    if teachers:
        record["teachers"] = [teacher.as_json() for teacher in teachers]
    # Before anything is written, since they may not be to be had.
    imagenet = _imagenet(recipe, out, weights, resume=resume)
    if is_chief():
        record = _prepare(record, out, resume=resume, overwrite=overwrite)
        if record["status"] == "finished":
            return Run(out, record)
    keras.utils.set_random_seed(recipe.seed)
    if recipe.deterministic:
        tf.config.experimental.enable_op_determinism()
    set_policy(recipe)
    try:
        train_it = _train_frozen if recipe.model == "vgg16_frozen" else _train_whole
        trained = train_it(
            Job(recipe, dataset, splits, out, record, progress, imagenet, teachers), devices
        )
    finally:
        keras.mixed_precision.set_global_policy("float32")
    if not is_chief():
        return None
    finalize(trained, dataset, splits, record, out)
    return Run(out, read_record(out))


@dataclass(frozen=True, slots=True)
class Job:
    """What one training needs to know."""

    recipe: Recipe
    dataset: Dataset
    splits: Splits
    out: Path
    record: dict[str, Any]
    progress: Progress
    imagenet: vgg16.ImagenetWeights | None
    teachers: Sequence[Teacher]

    @property
    def classes(self) -> int:
        return len(self.dataset.labels)

    def fit(
        self,
        model: Any,
        values: NDArray[Any],
        devices: Any,
        teacher_logits: TeacherLogits | None = None,
    ) -> list[dict[str, float]]:
        """The epochs, on images or features, with the record kept up to date."""

        def on_epoch(done: int) -> None:
            if is_chief():
                write_record(self.out, {**self.record, "epochs_done": done})

        return fit(
            model,
            self.recipe,
            values,
            self.dataset.targets,
            self.splits,
            self.out / "checkpoints",
            self.progress,
            on_epoch,
            devices,
            teacher_logits,
        )


def _train_whole(job: Job, devices: Any) -> Trained:
    """All layers at once, on images."""
    recipe = job.recipe
    fixed: Shape = job.dataset.images.shape[1:]
    free: Shape = (None, None, fixed[2])
    with devices.scope():
        model = build(recipe, free if recipe.small_epochs else fixed, job.classes)
        if job.imagenet is not None and recipe.model == "vgg16_enlarged":
            some = job.splits.train[: vgg16.LIKENED]
            vgg16.init_from_imagenet(model, job.imagenet, job.dataset.images[some])
        elif job.imagenet is not None:
            job.imagenet.load_into(model, rgb=True)
        if recipe.model == "airbench":
            airbench.whiten(model, job.dataset.images[job.splits.train[: airbench.WHITENED]])
    taught, teacher_seconds = None, 0.0
    if job.teachers:
        taught, teacher_seconds = teacher_logits(
            job.teachers, recipe, job.dataset, job.splits, job.progress.count
        )
    history = job.fit(model, job.dataset.images, devices, taught)
    device = describe_device()
    # The same weights in a model that computes in float32, for images of the one size.
    keras.mixed_precision.set_global_policy("float32")
    final = build(recipe, fixed, job.classes)
    final.set_weights(model.get_weights())
    seconds = teacher_seconds + sum(row["seconds"] for row in history)

    def logits(indices: Indices, what: str) -> NDArray[np.float32]:
        return predict(final, job.dataset.images, indices, job.progress.count, what)

    return Trained(final, logits, history, seconds, _trainable(model), device)


def _train_frozen(job: Job, devices: Any) -> Trained:
    """The base once, over every image; then the head alone, on what it gave."""
    shape = job.dataset.images.shape[1:]
    assert job.imagenet is not None
    base = vgg16.frozen_base(shape, job.recipe.preprocessing)
    job.imagenet.load_into(base)
    features, feature_seconds = cached_features(
        base, job.imagenet.fingerprint(), job.recipe, job.dataset, job.progress.count
    )
    with devices.scope():
        model = vgg16.head(features.shape[1:], job.classes)
    history = job.fit(model, features, devices)
    device = describe_device()
    keras.mixed_precision.set_global_policy("float32")
    final_base = vgg16.frozen_base(shape, job.recipe.preprocessing)
    final_base.set_weights(base.get_weights())
    final_head = vgg16.head(features.shape[1:], job.classes)
    final_head.set_weights(model.get_weights())
    seconds = feature_seconds + sum(row["seconds"] for row in history)
    whole = vgg16.frozen(final_base, final_head)

    def logits(indices: Indices, what: str) -> NDArray[np.float32]:
        # The features are there already: the whole model would compute them again for minutes.
        return predict(final_head, features, indices, job.progress.count, what)

    return Trained(whole, logits, history, seconds, _trainable(model), device)


def _imagenet(
    recipe: Recipe, out: Path, path: Path | None, *, resume: bool
) -> vgg16.ImagenetWeights | None:
    """VGG16's weights, where the run begins with them."""
    if recipe.model == "vgg16_frozen":
        return vgg16.read_weights(path)
    goes_on = resume and checkpoint.newest(out / "checkpoints") is not None
    begins_with_them = recipe.model in ("vgg16_finetuned", "vgg16_enlarged") and not goes_on
    return vgg16.read_weights(path) if begins_with_them else None


def _trainable(model: Any) -> int:
    return int(sum(np.prod(weight.shape) for weight in model.trainable_weights))


def _record(recipe: Recipe, dataset: Dataset, splits: Splits) -> dict[str, Any]:
    """What is known of a run before it begins."""
    return {
        "status": "training",
        "recipe": recipe.as_json(),
        "data": {
            "name": dataset.name,
            "title": dataset.title,
            "source": dataset.source,
            "fingerprint": dataset.fingerprint,
            "attribution": dataset.attribution,
            "labels": list(dataset.labels),
            "shape": list(dataset.images.shape[1:]),
            "notes": list(dataset.notes),
            "splits": {
                name: {"n": len(indices), "sha256": splits.hashes()[name]}
                for name, indices in splits.items()
            },
        },
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _prepare(record: dict[str, Any], out: Path, *, resume: bool, overwrite: bool) -> dict[str, Any]:
    """Makes the run folder, or checks the one to resume; returns the record to fill.

    The record is written at once, so that an interrupted run knows what it is.
    """
    if (out / "run.json").exists() and resume:
        old = read_record(out)
        for what in ("recipe", "data"):
            if _comparable(old, what) != _comparable(record, what):
                raise RunError(
                    f"{out} was begun with another {what}: resume with the same arguments, "
                    "or choose another --out"
                )
        return old
    if out.exists() and any(out.iterdir()):
        if not overwrite:
            raise RunError(f"{out} exists: --resume goes on with it, --overwrite replaces it")
        if not (out / "run.json").exists():
            raise RunError(f"{out} is not a run folder; it is not replaced")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    write_record(out, record)
    return record


def _comparable(record: dict[str, Any], what: str) -> object:
    """Recipe or data of a record, without what makes no other run."""
    if what == "recipe":
        return Recipe(**record["recipe"])  # an older one has fewer settings
    # The source may have moved; what it holds is in the fingerprint.
    return {**record["data"], "source": ""}
