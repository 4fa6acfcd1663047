"""Training with images on the device, against the tf.data pipeline: a whole epoch, and its input.

The images are random: their content changes no time.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from training.data import Splits
from training.data.augment import Augmentation
from training.data.on_device import DeviceImages
from training.data.pipeline import batches
from training.distribute import strategy
from training.epochs import FitContext, fit
from training.models.registry import spec_of
from training.recipes import recipe_of
from training.tf_keras_setup import keras, tf

_SHAPE = (32, 32, 3)
_CLASSES = 10
_VALIDATION = 100
_BATCH = 512
"""Images a batch where they are only prepared."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both roads, measured alternately; medians."""

    what: str
    """A recipe, whose epochs were timed; or `input alone`."""
    pipeline_s: float
    """Seconds for all images, from `training.data.pipeline`."""
    on_device_s: float
    """Seconds for all images, from `training.data.on_device`."""
    ratio: float
    """Median of on-device seconds over the pipeline's, of neighbouring measurements."""
    images: int
    runs: int
    """Of each road."""


class _SilentProgress:
    """A `training.progress.Progress` that costs nothing."""

    def count(self, what: str, done: int, total: int) -> None:
        pass

    def started(self, done: int, epochs: int) -> None:
        pass

    def finished_epoch(self, epoch: int, row: dict[str, float]) -> None:
        pass


def compare_inputs(
    models: Sequence[str], images: int, runs: int, on_result: Callable[[Comparison], None]
) -> list[Comparison]:
    """Measures the input alone, with all augmentations and a teacher's logits, then each recipe.

    Args:
        models: names of recipes.
        images: training images of an epoch.
        runs: measurements of each road.
        on_result: called with each result, as soon as it is there.
    """
    results = []
    for what in ("input alone", *models):
        measure = input_seconds(images) if what == "input alone" else epoch_seconds(what, images)
        times = np.array([[measure(False), measure(True)] for _ in range(runs)])
        results.append(
            Comparison(
                what=what,
                pipeline_s=float(np.median(times[:, 0])),
                on_device_s=float(np.median(times[:, 1])),
                ratio=float(np.median(times[:, 1] / times[:, 0])),
                images=images,
                runs=runs,
            )
        )
        on_result(results[-1])
    return results


def input_seconds(count: int) -> Callable[[bool], float]:
    """The seconds to prepare `count` images, by the pipeline, or on the device (True)."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, *_SHAPE), dtype=np.uint8)
    targets = random.normal(size=(count, 1 + _CLASSES)).astype(np.float32)
    order = random.permutation(count)
    params = Augmentation(0, cutout=0.25, mixup=0.5).draw(0, images.shape, order)
    device_images = DeviceImages(images)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def pixels(rows: Any) -> Any:
        return device_images.pixels(rows, params)

    def passed(on_device: bool) -> None:
        if on_device:
            source = device_images.batches(targets, order, _BATCH, params)
            made = (pixels(rows) for rows, _ in source)
        else:
            made = (batch for batch, _ in batches(images, targets, order, _BATCH, params=params))
        for batch in made:
            last = batch
        last.numpy()  # waits for the device

    def seconds(on_device: bool) -> float:
        start = time.perf_counter()
        passed(on_device)
        return time.perf_counter() - start

    passed(False)
    passed(True)  # traces the function
    return seconds


def epoch_seconds(name: str, count: int) -> Callable[[bool], float]:
    """The seconds of a recipe's second epoch of `count` images, likewise; the first one traces."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count + _VALIDATION, *_SHAPE), dtype=np.uint8)
    targets = random.integers(0, _CLASSES, len(images))
    rows = np.arange(len(images))
    splits = Splits(rows[:count], rows[count:], rows[:0])
    recipe = replace(recipe_of(name), epochs=2)

    def seconds(on_device: bool) -> float:
        keras.utils.set_random_seed(0)
        devices = strategy()
        with devices.scope(), tempfile.TemporaryDirectory() as folder:
            context = FitContext(
                recipe=recipe,
                values=images,
                targets=targets,
                splits=splits,
                checkpoints=Path(folder),
                devices=devices,
                progress=_SilentProgress(),
                on_device=on_device,
            )
            history = fit(spec_of(name).build(recipe, _SHAPE, _CLASSES), context)
        return history[1]["seconds"]  # the first epoch traces the step

    return seconds
