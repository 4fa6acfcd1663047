"""The epochs of a training, with a checkpoint after each, so that it can be resumed."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import checkpoint
from training.data import Indices, Splits
from training.data.augment import Augmentation, AugmentationParams
from training.data.on_device import DeviceImages
from training.data.pipeline import batches, epoch_order
from training.distillation.loss import KnownAccuracy, with_teacher_logits
from training.distillation.teacher import TeacherLogits
from training.distribute import own_folder, weigh_replicas
from training.finalize import EVALUATION_BATCH
from training.optim.build import loss, optimizer
from training.optim.ema import WeightEma
from training.optim.xla import compiles_step
from training.progress import Progress
from training.recipes import Recipe
from training.run_folder import History
from training.tf_keras_setup import keras


@dataclass(frozen=True, slots=True)
class FitContext:
    """What the epochs need besides the model."""

    recipe: Recipe
    values: NDArray[Any]
    """Of all images: uint8 pixels (n, h, w, 3), or float32 features (n, h, w, channels)."""
    targets: NDArray[np.int64]
    """(n,), class indices."""
    splits: Splits
    checkpoints: Path
    """The folder of the checkpoints; one is kept, of the newest epoch."""
    devices: Any
    """The tf.distribute strategy in whose scope the model was built."""
    progress: Progress
    teacher_logits: TeacherLogits | None = None
    outliers: int = 0
    """How many of the last rows of `values` and `targets` are pictures of no class, which every
    epoch shows beside the training images."""
    on_device: bool = False
    """Whether the uint8 images live on the devices (`training.data.on_device`)."""

    @property
    def steps(self) -> int:
        """In an epoch."""
        return -(-len(self._shown) // self.recipe.batch_size)

    @property
    def _shown(self) -> Indices:
        """Rows of all that an epoch shows."""
        rows = np.arange(len(self.values) - self.outliers, len(self.values))
        return np.concatenate([self.splits.train, rows])

    def training_batches(self, epoch: int, device_images: DeviceImages | None) -> Any:
        """The batches of an epoch, counted from 0, augmented and in its own order.

        With `device_images`, rows of them in place of pixels: the training step augments.
        """
        recipe, train = self.recipe, self.splits.train
        targets: NDArray[Any] = self.targets
        if self.teacher_logits is not None:
            targets = with_teacher_logits(targets, train, self.teacher_logits.of_epoch(epoch))
        params = self.augmentation(epoch)
        order = epoch_order(self._shown, recipe.seed, epoch)
        if device_images is not None:
            return device_images.batches(targets, order, recipe.batch_size, params)
        return batches(self.values, targets, order, recipe.batch_size, params=params)

    def augmentation(self, epoch: int) -> AugmentationParams | None:
        """How each image is augmented in an epoch; None where the recipe does not augment."""
        augmentation = Augmentation.of(self.recipe)
        if augmentation is None:
            return None
        n, *shape = self.values.shape
        # Without the outliers, as for the teacher: each image is augmented as if there were none.
        images = (n - self.outliers, *shape)
        params = augmentation.draw(self.recipe.view(epoch), images, self.splits.train)
        if self._mirrors(epoch):
            params = params.mirrored(self.values.shape[2])
        return params.extended(self.outliers)

    def _mirrors(self, epoch: int) -> bool:
        """Whether an epoch shows mirrors: every second time that it shows views again."""
        if self.teacher_logits is None or not self.teacher_logits.of_mirrors:
            return False
        if not self.recipe.flip:  # the student's images are of another class in the mirror
            return False
        return epoch // self.recipe.teacher_views % 2 == 1

    def validation_batches(self, device_images: DeviceImages | None) -> Any:
        """The validation images as they are; rows of `device_images` where there are any."""
        val = self.splits.val
        if device_images is not None:
            return device_images.batches(self.targets, val, EVALUATION_BATCH)
        return batches(self.values, self.targets, val, EVALUATION_BATCH)


def fit(model: Any, context: FitContext) -> History:
    """Trains `model` by the recipe; returns a row of metrics for each epoch.

    Continues from the newest checkpoint, and writes one after each epoch. Where the recipe has an
    EMA decay, the model ends with the averaged weights.
    """
    recipe = context.recipe
    with context.devices.scope():
        model.compile(
            optimizer=optimizer(recipe, context.steps * recipe.epochs),
            loss=loss(recipe, model.output_shape[-1]),
            metrics=[KnownAccuracy()],
            jit_compile=compiles_step(recipe, context.devices.num_replicas_in_sync),
        )
        ema = WeightEma(model, recipe.ema_decay) if recipe.ema_decay else None
        history = checkpoint.restore(context.checkpoints, model, ema)
        device_images = DeviceImages(context.values) if context.on_device else None
        _set_steps(model, context, device_images)
    context.progress.started(len(history), recipe.epochs)
    validation = context.validation_batches(device_images)
    for epoch in range(len(history), recipe.epochs):
        start = time.perf_counter()
        metrics = model.fit(
            context.training_batches(epoch, device_images),
            validation_data=validation,
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=[_progress_bar(context, epoch), *([] if ema is None else [ema])],
            verbose=0,
        ).history
        row = {name: float(values[-1]) for name, values in metrics.items()}
        history.append({**row, "seconds": time.perf_counter() - start})
        checkpoint.save(own_folder(context.checkpoints), model, ema, history)
        context.progress.finished_epoch(epoch, history[-1])
    if ema is not None:
        ema.swap()
    return history


def _set_steps(model: Any, context: FitContext, images: DeviceImages | None) -> None:
    """Replaces Keras' steps where a batch has rows of images on the device, or is divided."""
    params = context.augmentation(0)

    def pixels(inputs: Any) -> Any:
        return inputs if images is None else images.pixels(inputs, params)

    def of_pixels(keras_step: Any) -> Any:
        return lambda batch: keras_step((pixels(batch[0]), batch[1]))

    if images is not None:
        model.test_step = of_pixels(model.test_step)
    if context.devices.num_replicas_in_sync > 1:
        weigh_replicas(model, pixels)
    elif images is not None:
        model.train_step = of_pixels(model.train_step)


def _progress_bar(context: FitContext, epoch: int) -> Any:
    what = f"epoch {epoch + 1} of {context.recipe.epochs}"

    def step(batch: int, logs: object) -> None:  # noqa: ARG001  # Keras passes both
        context.progress.count(what, batch + 1, context.steps)

    return keras.callbacks.LambdaCallback(on_batch_end=step)
