"""The stage in Python: what `python -m training run` and `distill` do.

>>> from training import fit, load_dataset
>>> run = fit("edge_m", load_dataset("my_images"), "runs/mine")  # doctest: +SKIP
>>> print(run.result.test)  # doctest: +SKIP
94.44% [81.86%, 98.46%] of 36
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysight.console import require_extra
from training.data import Dataset
from training.recipes import OUTLIERS, SPLIT_OF_TEACHER, finetuned, recipe_of, with_settings
from training.run_folder import Run, RunError

if TYPE_CHECKING:
    from training.train import Job


def fit(
    model: str,
    dataset: Dataset,
    out: str | os.PathLike[str],
    *,
    start: str | None = None,
    teachers: Sequence[Run] = (),
    weights: str | os.PathLike[str] | None = None,
    unknown: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Run:
    """Trains a model into a run folder, and shows each epoch.

    Called again, it continues after the last finished epoch, or returns the finished run.

    Args:
        model: a name of `training.recipes.RECIPES`, or a stack such as `32s2-48-64s2-64`.
        dataset: from `load_dataset`; a part of the training images is held out for validation
            where it has no validation part.
        out: folder of the run.
        start: weights to start from: a run folder, a bundle, `edge_s` or `edge_m` for those in this
            repository, `none` for random ones; None is `none`, but the model's own where there are
            some and the images are your own.
        teachers: finished runs on the same data to distil from.
        weights: file of VGG16's ImageNet weights, for `vgg16_*`.
        unknown: folder of pictures of no class, which are shown beside the made ones.
        settings: fields of `training.recipes.Recipe` in place of the model's defaults, such as
            `epochs=5`.

    Raises:
        MissingExtraError: TensorFlow is not installed.
        RunError: `out` holds a run of another recipe or of other data.
        PretrainedError: there are no such weights, or they are those of another model.
        WeightsError: VGG16's weights cannot be read or downloaded.
        DataError: `unknown` holds no picture.
        ValueError, TypeError: no such model, or a setting's value or name is wrong.
    """
    require_extra("train", "tensorflow", "tf_keras", "sklearn", "matplotlib", "rich", "markdown_it")
    from training.console import TrainingConsole
    from training.train import train

    job = prepare(
        model, dataset, Path(out), start=start, teachers=teachers, unknown=unknown, **settings
    )
    file = None if weights is None else Path(weights)
    job = dataclasses.replace(job, weights=file, if_exists="resume")
    with TrainingConsole() as console:
        run = train(job, console)
    if run is None:
        raise RunError("fit does not work with several workers: use `python -m training run`")
    return run


def prepare(
    model: str,
    dataset: Dataset,
    out: Path,
    *,
    start: str | None = None,
    teachers: Sequence[Run] = (),
    unknown: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> "Job":
    """The job of a training, by the defaults of `fit`, whose arguments it takes.

    Its recipe is the model's default one, that of fine-tuning where weights are started from, or a
    student's where there are teachers, with `settings`. Where weights are started from, `flip`
    follows from the training images (`training.mirror`) unless it is among the settings.
    """
    from training.data.outliers import read_unknown
    from training.distillation.teacher import read_teacher, student_recipe
    from training.mirror import differs_in_mirror
    from training.pretrained import SHIPPED, read_pretrained
    from training.train import Job

    if start is None:
        start = model if dataset.is_own and model in SHIPPED and not teachers else "none"
    recipe, pretrained = recipe_of(model), None
    if start != "none":
        pretrained = read_pretrained(start)
        pretrained.check(model)
        images = sum(len(dataset.parts.get(part, ())) for part in ("train", "val"))
        recipe = finetuned(recipe, images, pretrained.sha256)
        flips = recipe.augment and settings.get("augment", True) and "flip" not in settings
        if flips and differs_in_mirror(pretrained, dataset):
            settings["flip"] = False
    pictures = None
    if unknown is not None:
        pictures = read_unknown(Path(unknown), dataset.images.shape[1:3])
        recipe = dataclasses.replace(recipe, unknown=pictures.sha256, outliers=OUTLIERS)
    recipe = with_settings(recipe, settings)
    known = [read_teacher(teacher.folder) for teacher in teachers]
    if known:
        if own := sorted(settings.keys() & set(SPLIT_OF_TEACHER)):
            raise ValueError(f"{', '.join(own)}: a student has the split of its teachers")
        recipe = student_recipe(recipe, known)
    return Job(recipe, dataset, out, pretrained=pretrained, unknown=pictures, teachers=known)
