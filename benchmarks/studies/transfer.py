"""What trained weights are worth on other images: accuracy from them, and without them.

For each seed, a few images of each class are drawn; a model is trained on them from its shipped
weights, from random ones, or as a head on VGG16's frozen features, and evaluated on test images.
All of them train on the same drawn images, so that the differences are paired.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from tinysight.errors import TinysightError
from tinysight.records import to_json
from training.data import Dataset, Indices, Splits
from training.data.splits import stratified
from training.pretrained import read_pretrained
from training.progress import Progress
from training.recipes import Recipe, finetuned, recipe_of, with_settings
from training.train import Job, train

Start = Literal["pretrained", "scratch", "vgg16_frozen"]


@dataclass(frozen=True, slots=True)
class Setting:
    """What is trained: once for each seed."""

    data: str
    """Title of the data set."""
    per_class: int
    """Images of each class, validation images included."""
    start: Start
    """`vgg16_frozen` trains a head on frozen ImageNet features."""


@dataclass(frozen=True, slots=True)
class Row:
    """Test accuracies of a setting."""

    setting: Setting
    accuracies: tuple[float, ...]
    """By seed, as fractions."""
    test_images: int

    DERIVED: ClassVar = ("mean", "interval")

    @property
    def mean(self) -> float:
        return float(np.mean(self.accuracies))

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % about the mean, in [0, 1], by Student's t over the seeds; None for a single one."""
        bounds = student_interval(self.accuracies)
        return None if bounds is None else (max(0.0, bounds[0]), min(1.0, bounds[1]))


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more accurate the shipped weights are than another start, paired by seed."""

    setting: Setting
    """The other's."""
    differences: tuple[float, ...]
    """Accuracy from the shipped weights minus the other's, by seed."""

    DERIVED: ClassVar = ("mean", "interval", "verdict")

    @property
    def mean(self) -> float:
        return float(np.mean(self.differences))

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 %, by Student's t over the seeds; None for a single one."""
        return student_interval(self.differences)

    @property
    def verdict(self) -> str:
        """Whether the interval is above, below, or about zero."""
        if self.interval is None:
            return "one seed"
        low, high = self.interval
        return "better" if low > 0 else "worse" if high < 0 else "no difference beyond noise"


def student_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % about the mean, by Student's t; None for a single value."""
    from scipy.stats import t

    n = len(values)
    if n < 2:
        return None
    mean = float(np.mean(values))
    half = float(t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return mean - half, mean + half


def compare_starts(
    dataset: Dataset,
    per_class: Sequence[int],
    starts: Sequence[Start],
    accuracy: Callable[[Setting], tuple[Sequence[float], int]],
) -> Iterator[Row]:
    """A row for each number of images a class, and start.

    Args:
        dataset: to draw from.
        per_class: images of each class.
        starts: what is compared.
        accuracy: trains a setting; the accuracy by seed, and the number of test images.
    """
    for count in per_class:
        for start in starts:
            setting = Setting(dataset.title, count, start)
            accuracies, test_images = accuracy(setting)
            yield Row(setting, tuple(accuracies), test_images)


def differences(rows: Sequence[Row]) -> list[Difference]:
    """Of the shipped weights to each other start, where there are rows of both."""
    ours = {row.setting.per_class: row for row in rows if row.setting.start == "pretrained"}
    return [
        Difference(
            row.setting,
            tuple(
                a - b
                for a, b in zip(ours[row.setting.per_class].accuracies, row.accuracies, strict=True)
            ),
        )
        for row in rows
        if row.setting.start != "pretrained" and row.setting.per_class in ours
    ]


def train_setting(
    dataset: Dataset,
    setting: Setting,
    model: str,
    seed: int,
    folder: Path,
    progress: Progress,
    **settings: Any,
) -> tuple[float, int]:
    """Trains once, or finds the finished run; the accuracy on test images, and their number.

    Args:
        dataset: to draw from.
        setting: what is trained.
        model: whose shipped weights are started from.
        seed: of the draw and of the training.
        folder: of the run folders; `run_folder` names this training's in it.
        progress: told of each epoch.
        settings: fields of the recipe in place of the defaults.

    Raises TinysightError where a class has too few images, RunError where the run folder holds
    another training.
    """
    splits = draw(dataset, setting.per_class, seed)
    images = len(splits.train) + len(splits.val)
    base = recipe_of("vgg16_frozen" if setting.start == "vgg16_frozen" else model)
    pretrained = read_pretrained(model) if setting.start == "pretrained" else None
    recipe = (
        scratch(base, images) if pretrained is None else finetuned(base, images, pretrained.sha256)
    )
    recipe = with_settings(recipe, {**settings, "seed": seed})
    out = folder / run_folder(setting, recipe)
    run = train(
        Job(recipe, dataset, out, splits=splits, pretrained=pretrained, if_exists="resume"),
        progress,
    )
    if run is None or run.result.test is None:
        raise TinysightError("the study runs on one machine, on data with test images")
    return run.result.test.value, run.result.test.n


def run_folder(setting: Setting, recipe: Recipe) -> str:
    """`<model>-<images>-<start>-<seed>-<hash of the recipe>`: studies of other settings share the
    folder around it."""
    digest = hashlib.sha256(json.dumps(to_json(recipe)).encode()).hexdigest()[:8]
    return f"{recipe.model}-{setting.per_class}-{setting.start}-{recipe.seed}-{digest}"


def draw(dataset: Dataset, per_class: int, seed: int) -> Splits:
    """So many images of each class, a fifth of them for validation, and the test images.

    The test images are the data's own; where it brings none, all that were not drawn.

    Raises TinysightError where a class has too few.
    """
    random = np.random.default_rng((seed, per_class))
    pool, targets, test = dataset.parts["train"], dataset.targets, dataset.parts["test"]
    if dataset.held_out:
        pool = np.sort(np.concatenate([pool, test]))
    chosen: list[Indices] = []
    for index, label in enumerate(dataset.labels):
        own = pool[targets[pool] == index]
        if len(own) < per_class + dataset.held_out:
            raise TinysightError(f"{dataset.title}: only {len(own)} training images of {label}")
        chosen.append(random.choice(own, per_class, replace=False))
    drawn = np.sort(np.concatenate(chosen))
    train_, val = stratified(drawn, targets, 0.2, seed, dataset.labels)
    return Splits(train_, val, np.setdiff1d(pool, drawn) if dataset.held_out else test)


def scratch(recipe: Recipe, images: int) -> Recipe:
    """A model's recipe for few images: its batches of 512 would give one step an epoch.

    The learning rate falls with the batch size; the epochs stay.
    """
    batch_size = finetuned(recipe, images, "").batch_size
    rate = recipe.learning_rate
    if recipe.optimizer != "adam" and batch_size < recipe.batch_size:
        rate *= max(batch_size / recipe.batch_size, 0.25)
    return dataclasses.replace(recipe, batch_size=batch_size, learning_rate=rate)


def markdown(title: str, model: str, rows: Sequence[Row], command: str) -> str:
    """The report of one data set."""
    lines = [
        f"# {title}: {model} from its shipped weights, and without them",
        "",
        f"    {command}",
        "",
        "| images a class | start | test accuracy | 95 % interval | by seed | test images |",
        "|--:|---|--:|--:|---|--:|",
    ]
    for row in rows:
        by_seed = " ".join(f"{100 * one:.1f}" for one in row.accuracies)
        lines.append(
            f"| {row.setting.per_class} | {display_start(row.setting.start, model)} "
            f"| {row.mean:.1%} | {_percent(row.interval)} | {by_seed} | {row.test_images:,} |"
        )
    lines += [
        "",
        f"Accuracy from the weights of {model} minus the other's, of the same drawn images:",
        "",
        "| images a class | against | points | 95 % interval | |",
        "|--:|---|--:|--:|---|",
    ]
    for one in differences(rows):
        lines.append(
            f"| {one.setting.per_class} | {display_start(one.setting.start, model)} "
            f"| {100 * one.mean:+.1f} | {points(one.interval)} | {one.verdict} |"
        )
    seeds = len(rows[0].accuracies) if rows else 0
    lines += [
        "",
        f"n = {seeds} seeds: each draws its images and trains every start on them, a fifth of them "
        "for validation. Intervals are by Student's t over the seeds.",
    ]
    return "\n".join(lines) + "\n"


def display_start(start: Start, model: str) -> str:
    """How a table names a start."""
    return {
        "pretrained": f"weights of {model}",
        "scratch": "from scratch",
        "vgg16_frozen": "head on frozen VGG16",
    }[start]


def points(interval: tuple[float, float] | None) -> str:
    """An interval of differences in percentage points."""
    return "-" if interval is None else "{:+.1f} to {:+.1f}".format(*(100 * x for x in interval))


def _percent(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else "{:.1%} to {:.1%}".format(*interval)
