"""Trains one model into a run folder."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from training import vgg16
from training.data import Dataset, Splits, split
from training.environment import describe_device
from training.features import cached_features
from training.finish import Trained, finish
from training.keras import keras, tf
from training.loop import Progress, fit
from training.models import Shape, build
from training.precision import set_policy
from training.recipes import Recipe
from training.run import Run, RunError, read_record, write_record


def train(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    progress: Progress,
    *,
    weights: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Run:
    """Trains `recipe` on `dataset` and writes the run folder `out`.

    With `resume`, a run that was stopped goes on after its last finished epoch; one that had not
    begun is begun, and a finished one is returned as it is.

    Args:
        weights: VGG16's ImageNet weights; see `training.vgg16.load_weights`.

    Raises:
        RunError: `out` exists and neither `resume` nor `overwrite` is given; or the run to
            resume was begun with another recipe or other data.
        WeightsError: the recipe needs VGG16's weights, and they cannot be had.
    """
    splits = split(dataset, recipe.seed, recipe.val_fraction)
    record = _prepare(recipe, dataset, splits, out, resume=resume, overwrite=overwrite)
    if record["status"] == "finished":
        return Run(out, record)
    keras.utils.set_random_seed(recipe.seed)
    if recipe.deterministic:
        tf.config.experimental.enable_op_determinism()
    policy = set_policy(recipe)
    try:
        train_it = _train_frozen if recipe.model == "vgg16_frozen" else _train_whole
        trained = train_it(recipe, dataset, splits, out, record, progress, weights)
        if policy != "float32":
            keras.mixed_precision.set_global_policy("float32")
        finish(trained, dataset, splits, record, out)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    return Run(out, read_record(out))


def _train_whole(
    recipe: Recipe,
    dataset: Dataset,
    splits: Splits,
    out: Path,
    record: dict[str, Any],
    progress: Progress,
    weights: Path | None,
) -> Trained:
    """All layers at once, on images."""
    fixed: Shape = dataset.images.shape[1:]
    free: Shape = (None, None, fixed[2])
    classes = len(dataset.labels)
    model = build(recipe, free if recipe.small_epochs else fixed, classes)
    # A run that goes on takes its weights from the checkpoint, and needs no others.
    if recipe.model == "vgg16_finetuned" and not (out / "checkpoints").exists():
        vgg16.load_weights(model, weights, rgb=True)
    history = fit(
        model,
        recipe,
        dataset.images,
        dataset.targets,
        splits,
        classes,
        out / "checkpoints",
        progress,
        lambda done: write_record(out, {**record, "epochs_done": done}),
    )
    device = describe_device()
    # The same weights in a model that computes in float32, for images of the one size.
    keras.mixed_precision.set_global_policy("float32")
    final = build(recipe, fixed, classes)
    final.set_weights(model.get_weights())
    seconds = sum(row["seconds"] for row in history)
    return Trained(final, history, seconds, _trainable(model), device)


def _train_frozen(
    recipe: Recipe,
    dataset: Dataset,
    splits: Splits,
    out: Path,
    record: dict[str, Any],
    progress: Progress,
    weights: Path | None,
) -> Trained:
    """The base once, over every image; then the head alone, on what it gave."""
    shape, classes = dataset.images.shape[1:], len(dataset.labels)
    base = vgg16.frozen_base(shape, recipe.preprocessing)
    content = vgg16.load_weights(base, weights)
    features, feature_seconds = cached_features(base, content, recipe, dataset, progress)
    model = vgg16.head(features.shape[1:], classes)
    history = fit(
        model,
        recipe,
        features,
        dataset.targets,
        splits,
        classes,
        out / "checkpoints",
        progress,
        lambda done: write_record(out, {**record, "epochs_done": done}),
    )
    device = describe_device()
    keras.mixed_precision.set_global_policy("float32")
    final_base = vgg16.frozen_base(shape, recipe.preprocessing)
    final_base.set_weights(base.get_weights())
    final_head = vgg16.head(features.shape[1:], classes)
    final_head.set_weights(model.get_weights())
    seconds = feature_seconds + sum(row["seconds"] for row in history)
    whole = vgg16.frozen(final_base, final_head)
    return Trained(whole, history, seconds, _trainable(model), device)


def _trainable(model: Any) -> int:
    return int(sum(np.prod(weight.shape) for weight in model.trainable_weights))


def _prepare(
    recipe: Recipe, dataset: Dataset, splits: Splits, out: Path, *, resume: bool, overwrite: bool
) -> dict[str, Any]:
    """Returns the record to fill; writes it, so that an interrupted run knows what it is."""
    data = {
        "name": dataset.name,
        "title": dataset.title,
        "fingerprint": dataset.fingerprint,
        "attribution": dataset.attribution,
        "labels": list(dataset.labels),
        "shape": list(dataset.images.shape[1:]),
        "notes": list(dataset.notes),
        "splits": {
            name: {"n": len(indices), "sha256": splits.hashes()[name]}
            for name, indices in splits.items()
        },
    }
    record: dict[str, Any] = {
        "status": "training",
        "recipe": recipe.as_json(),
        "data": {**data, "source": dataset.source},
    }
    if (out / "run.json").exists() and resume:
        old = read_record(out)
        for what in ("recipe", "data"):
            # The source may have moved; what it holds is in the fingerprint.
            if {**old[what], "source": ""} != {**record[what], "source": ""}:
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
    record["started"] = datetime.now(UTC).isoformat(timespec="seconds")
    write_record(out, record)
    return record
