"""Trains one model into a run folder."""

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tinysight.files import sole_writer_inside
from tinysight.preprocess import Pixels
from tinysight.provenance import IndexSet
from training.data import DataError, Dataset, Indices, Splits, split
from training.data.on_device import images_fit
from training.data.outliers import NO_CLASS, UnknownPictures, outliers
from training.disk_errors import clear_disk_errors
from training.distillation.teacher import Teacher, TeacherLogits, teacher_logits
from training.distribute import is_chief, strategy
from training.environment import describe_device
from training.epochs import FitContext, fit
from training.finalize import Trained, finalize, predict
from training.frozen_features import cached_features
from training.models import vgg16
from training.models.registry import ModelSpec, spec_of
from training.optim.precision import set_policy
from training.optim.xla import compiles_step
from training.pretrained import HEAD_IMAGES, STATISTICS_IMAGES, Pretrained, fit_head
from training.progress import Progress
from training.recipes import Recipe
from training.run_folder import (
    History,
    Run,
    RunData,
    RunError,
    RunRecord,
    RunSplits,
    newest_checkpoint,
    read_record,
    write_record,
)
from training.tf_keras_setup import keras, tf


@dataclass(frozen=True, slots=True)
class Job:
    """What to train, and where to."""

    recipe: Recipe
    dataset: Dataset
    out: Path
    """The run folder; of several workers, one that all of them see."""
    splits: Splits | None = None
    """Instead of the recipe's own; without test images, none are evaluated."""
    weights: Path | None = None
    """VGG16's ImageNet weights; see `training.models.vgg16.read_weights`."""
    pretrained: Pretrained | None = None
    """Weights to start from: those of the recipe."""
    unknown: UnknownPictures | None = None
    """The user's own pictures of no class: those of the recipe."""
    teachers: Sequence[Teacher] = ()
    """Those of the recipe, which is from `training.distillation.teacher.student_recipe`."""
    if_exists: Literal["fail", "resume", "overwrite"] = "fail"
    """What to do where `out` exists. `resume` continues after the last finished epoch, starts a run
    that does not exist, and returns a finished one unchanged."""


def train(job: Job, progress: Progress) -> Run | None:
    """Trains a model and writes its run folder. Of several workers, only the chief gets a Run.

    Raises:
        RunError: `out` exists and the job does not say what to do then; or the run to resume has
            another recipe or other data; or a teacher was trained on other data.
        DataError: the images are smaller than the model takes.
        PretrainedError: the weights to start from have seen images that would validate this run.
        WeightsError: the model needs VGG16's weights, and they cannot be read or downloaded.
        XlaError: the recipe asks for XLA, which can or must not compile this training.
    """
    devices = strategy()  # first: with several hosts, TensorFlow insists on it
    compiles_step(job.recipe, devices.num_replicas_in_sync)  # before anything is written
    _check_size(job)
    splits = job.splits or split(job.dataset, job.recipe.data_seed, job.recipe.val_fraction)
    for teacher in job.teachers:
        teacher.check(job.dataset, splits)
    if job.pretrained is not None:
        job.pretrained.check_splits(job.dataset, splits)
    record = _new_record(job, splits)
    resumed = _record_to_resume(job, record)
    if resumed is not None and resumed.result is not None:  # also where nothing can be written
        return Run(job.out, resumed) if is_chief() else None
    lock = sole_writer_inside(job.out) if is_chief() else contextlib.nullcontext()
    with lock, clear_disk_errors(job.out, "free some, and the same command with --resume goes on"):
        return _train(job, splits, record, devices, progress)


def _train(
    job: Job, splits: Splits, record: RunRecord, devices: Any, progress: Progress
) -> Run | None:
    recipe, dataset = job.recipe, job.dataset
    resumed = _record_to_resume(job, record)  # again: until now another process had the lock
    if resumed is not None and resumed.result is not None:
        return Run(job.out, resumed) if is_chief() else None
    from_checkpoint = resumed is not None and newest_checkpoint(job.out / "checkpoints") is not None
    spec = spec_of(recipe.model)
    # Read before anything is written, since they may be missing.
    imagenet = None
    if spec.needs_imagenet_weights and (spec.frozen_base is not None or not from_checkpoint):
        imagenet = vgg16.read_weights(job.weights)
    if is_chief() and resumed is None:
        _start_folder(job, record)
    keras.utils.set_random_seed(recipe.seed)
    if recipe.deterministic:
        tf.config.experimental.enable_op_determinism()
    set_policy(recipe)
    training = _Training(job, splits, spec, imagenet, from_checkpoint, devices, progress)
    try:
        trained = training.whole_model() if spec.frozen_base is None else training.head()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    if not is_chief():
        return None
    return Run(job.out, finalize(trained, dataset, splits, resumed or record, job.out))


def _check_size(job: Job) -> None:
    least, side = spec_of(job.recipe.model).min_side, min(job.dataset.images.shape[1:3])
    if side < least:
        raise DataError(
            f"{job.recipe.model} takes images of {least} x {least} pixels or more, not of {side}"
        )


def _spaced(indices: Indices, n: int) -> Indices:
    """At most n of them, evenly spaced, since the images of a folder come class by class."""
    if len(indices) <= n:
        return indices
    return indices[np.linspace(0, len(indices) - 1, n).astype(np.int64)]


@dataclass(frozen=True, slots=True)
class _Training:
    """A job with all that was prepared for it."""

    job: Job
    splits: Splits
    spec: ModelSpec
    imagenet: vgg16.ImagenetWeights | None
    from_checkpoint: bool
    devices: Any
    progress: Progress

    def whole_model(self) -> Trained:
        """Trains all layers at once, on images."""
        job, recipe, images = self.job, self.job.recipe, self.job.dataset.images
        shape, classes = images.shape[1:], len(job.dataset.labels)
        with self.devices.scope():
            model = self.spec.build(recipe, shape, classes)
            if self.spec.initialize is not None and not self.from_checkpoint:
                self.spec.initialize(model, self._some_images, self.imagenet)
            if job.pretrained is not None and not self.from_checkpoint:
                self._start_from(job.pretrained, model)
        logits_of_teacher = None
        if job.teachers:
            logits_of_teacher = teacher_logits(
                job.teachers, recipe, job.dataset, self.splits, self.progress.count
            )
        history = self._fit(model, images, logits_of_teacher, self._outliers())
        device = describe_device()
        # The same weights in a model that computes in float32.
        keras.mixed_precision.set_global_policy("float32")
        final = self.spec.build(recipe, shape, classes)
        final.set_weights(model.get_weights())
        final = self.spec.deployed(recipe, final)
        before = 0.0 if logits_of_teacher is None else logits_of_teacher.seconds

        def logits(indices: Indices, what: str) -> NDArray[np.float32]:
            return predict(final, images, indices, self.progress.count, what)

        seconds = before + _seconds(history)
        return Trained(final, logits, history, seconds, _trainable(final), device)

    def head(self) -> Trained:
        """Computes the features of a frozen base for every image, then trains the head on them."""
        job, recipe, imagenet = self.job, self.job.recipe, self.imagenet
        shape, classes = job.dataset.images.shape[1:], len(job.dataset.labels)
        assert imagenet is not None
        assert self.spec.frozen_base is not None
        base = self.spec.frozen_base(recipe, shape, imagenet)
        features = cached_features(
            base, imagenet.fingerprint(), recipe, job.dataset, self.progress.count
        )
        values = features.values
        with self.devices.scope():
            model = self.spec.build(recipe, values.shape[1:], classes)
        history = self._fit(model, values, None, None)
        device = describe_device()
        keras.mixed_precision.set_global_policy("float32")
        final_head = self.spec.build(recipe, values.shape[1:], classes)
        final_head.set_weights(model.get_weights())
        final = vgg16.join(self.spec.frozen_base(recipe, shape, imagenet), final_head)

        def logits(indices: Indices, what: str) -> NDArray[np.float32]:
            # On the features, which are there: the whole model would take minutes for them.
            return predict(final_head, values, indices, self.progress.count, what)

        seconds = features.seconds + _seconds(history)
        return Trained(final, logits, history, seconds, _trainable(model), device)

    def _start_from(self, pretrained: Pretrained, model: Any) -> None:
        dataset, some = self.job.dataset, _spaced(self.splits.train, HEAD_IMAGES)
        images = np.asarray(dataset.images[some])
        pretrained.initialize(model, self._some_images(STATISTICS_IMAGES))
        if (head := pretrained.head_of(dataset.labels)) is not None:
            model.get_layer("logits").set_weights([head.kernel, head.bias])
        else:
            fit_head(model, images, dataset.targets[some])

    def _some_images(self, n: int) -> NDArray[np.uint8]:
        return np.asarray(self.job.dataset.images[_spaced(self.splits.train, n)])

    def _outliers(self) -> Pixels | None:
        """The pictures of no class of the recipe."""
        recipe, train = self.job.recipe, self.splits.train
        count = round(recipe.outliers * len(train))
        if not count:
            return None
        return outliers(count, self.job.dataset.images, train, recipe.data_seed, self.job.unknown)

    def _fit(
        self,
        model: Any,
        values: NDArray[Any],
        logits: TeacherLogits | None,
        of_no_class: Pixels | None,
    ) -> History:
        targets, count = self.job.dataset.targets, 0
        if of_no_class is not None:
            count = len(of_no_class)
            values = np.concatenate([values, of_no_class])
            targets = np.concatenate([targets, np.full(count, NO_CLASS)])
        context = FitContext(
            recipe=self.job.recipe,
            values=values,
            targets=targets,
            splits=self.splits,
            checkpoints=self.job.out / "checkpoints",
            devices=self.devices,
            progress=self.progress,
            teacher_logits=logits,
            outliers=count,
            on_device=images_fit(values),
        )
        return fit(model, context)


def _seconds(history: History) -> float:
    return sum(row["seconds"] for row in history)


def _trainable(model: Any) -> int:
    return int(sum(np.prod(weight.shape) for weight in model.trainable_weights))


def _new_record(job: Job, splits: Splits) -> RunRecord:
    """What is known of a run before it starts."""
    dataset, hashes = job.dataset, splits.hashes()
    height, width, channels = dataset.images.shape[1:]
    data = RunData(
        name=dataset.name,
        title=dataset.title,
        source=dataset.source,
        fingerprint=dataset.fingerprint,
        attribution=dataset.attribution,
        labels=dataset.labels,
        shape=(height, width, channels),
        notes=dataset.notes,
        splits=RunSplits(
            **{name: IndexSet(len(part), hashes[name]) for name, part in splits.items()}
        ),
    )
    return RunRecord(
        recipe=job.recipe,
        data=data,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        teachers=tuple(teacher.record() for teacher in job.teachers),
    )


def _record_to_resume(job: Job, record: RunRecord) -> RunRecord | None:
    """The record of the run to resume, or None where there is none; RunError for another run's."""
    out = job.out
    if job.if_exists != "resume" or not (out / "run.json").exists():
        return None
    old = read_record(out)
    difference = old.difference(record)
    if difference is not None:
        raise RunError(
            f"{out} was started with another {difference}: resume with the same arguments, "
            "or choose another --out"
        )
    return old


def _start_folder(job: Job, record: RunRecord) -> None:
    """Makes the run folder, with its record; replaces an older run only where the job says so.

    A kill in between leaves the old run, or a new one without an epoch, and no checkpoint of the
    old one that could be taken for the new one's.
    """
    out = job.out
    # A process that was killed may have left a temporary file.
    old = [path for path in out.iterdir() if not path.name.startswith(".")]
    if old:
        if not (out / "run.json").exists():
            raise RunError(f"{out} is not a run folder: choose another --out")
        if job.if_exists != "overwrite":
            raise RunError(f"{out} exists: --resume continues it, --overwrite replaces it")
    removed = out / ".checkpoints.old"
    shutil.rmtree(removed, ignore_errors=True)
    if (out / "checkpoints").exists():
        (out / "checkpoints").rename(removed)
    write_record(out, record)  # now, so that an interrupted run knows what it is
    for path in out.iterdir():
        if path.name not in ("run.json", ".lock"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
