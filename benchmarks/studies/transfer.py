"""What trained weights are worth on other images: accuracy from them, and from random weights.

Of each data set, a few images of each class are drawn; a model is trained on them once from its
shipped weights and once from random ones, and evaluated on the test images.
"""

import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from tinysight.errors import TinysightError
from training.data import Dataset, Indices, Splits
from training.data.splits import stratified
from training.pretrained import read_pretrained
from training.progress import Progress
from training.recipes import Recipe, finetuned, recipe_of
from training.train import Job, train

Start = Literal["pretrained", "scratch", "vgg16_frozen"]

_TEST_IMAGES = 1500
"""At most; a seeded sample of more."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is trained: once for each seed."""

    data: str
    """Title of the data set."""
    images: int
    """Of each class, validation images included."""
    start: Start
    """`vgg16_frozen` trains a head on frozen ImageNet features."""


@dataclass(frozen=True, slots=True)
class Row:
    """Test accuracies of a setting."""

    setting: Setting
    accuracies: tuple[float, ...]
    """By seed, as fractions."""

    DERIVED: ClassVar = ("mean", "interval")

    @property
    def mean(self) -> float:
        return float(np.mean(self.accuracies))

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % about the mean, by Student's t over the seeds; None for a single one."""
        from scipy.stats import t

        n = len(self.accuracies)
        if n < 2:
            return None
        half = float(t.ppf(0.975, n - 1) * np.std(self.accuracies, ddof=1) / np.sqrt(n))
        return max(0.0, self.mean - half), min(1.0, self.mean + half)


def compare_starts(
    datasets: Sequence[Dataset],
    images: Sequence[int],
    starts: Sequence[Start],
    accuracy: Callable[[Dataset, Setting], Sequence[float]],
) -> Iterator[Row]:
    """A row for each data set, number of images a class, and start.

    Args:
        accuracy: trains a setting; the accuracy by seed.
    """
    for dataset in datasets:
        for count in images:
            for start in starts:
                setting = Setting(dataset.title, count, start)
                yield Row(setting, tuple(accuracy(dataset, setting)))


def train_setting(
    dataset: Dataset, setting: Setting, model: str, seed: int, progress: Progress
) -> float:
    """Trains once; the accuracy on test images.

    Raises TinysightError where a class has too few images.
    """
    splits = draw(dataset, setting.images, seed)
    images = len(splits.train) + len(splits.val)
    base = recipe_of("vgg16_frozen" if setting.start == "vgg16_frozen" else model)
    pretrained = read_pretrained(model) if setting.start == "pretrained" else None
    recipe = (
        scratch(base, images) if pretrained is None else finetuned(base, images, pretrained.sha256)
    )
    recipe = dataclasses.replace(recipe, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        job = Job(recipe, dataset, Path(folder) / "run", splits=splits, pretrained=pretrained)
        run = train(job, progress)
    if run is None or run.result.test is None:
        raise TinysightError("the study runs on one machine, on data with test images")
    return run.result.test.value


def draw(dataset: Dataset, images: int, seed: int) -> Splits:
    """So many images of each class, a tenth of them for validation, and the test images.

    Raises TinysightError where a class has too few.
    """
    random = np.random.default_rng((seed, images))
    pool, targets = dataset.parts["train"], dataset.targets
    chosen: list[Indices] = []
    for index, label in enumerate(dataset.labels):
        own = pool[targets[pool] == index]
        if len(own) < images:
            raise TinysightError(f"{dataset.title}: only {len(own)} training images of {label}")
        chosen.append(random.choice(own, images, replace=False))
    train_, val = stratified(np.sort(np.concatenate(chosen)), targets, 0.1, seed, dataset.labels)
    test = dataset.parts["test"]
    if len(test) > _TEST_IMAGES:
        test = np.sort(np.random.default_rng(1).choice(test, _TEST_IMAGES, replace=False))
    return Splits(train_, val, test)


def scratch(recipe: Recipe, images: int) -> Recipe:
    """A model's recipe for few images: its batches of 512 would give one step an epoch.

    The learning rate falls with the batch size; the epochs stay.
    """
    batch_size = finetuned(recipe, images, "").batch_size
    rate = recipe.learning_rate
    if recipe.optimizer != "adam" and batch_size < recipe.batch_size:
        rate *= max(batch_size / recipe.batch_size, 0.25)
    return dataclasses.replace(recipe, batch_size=batch_size, learning_rate=rate)
