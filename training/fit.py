"""The epochs of a training, one after the other, so that it can go on after any stop."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import checkpoint
from training.data import Splits
from training.data.augment import Augmentation
from training.data.pipeline import batches, epoch_order
from training.distillation.loss import accuracy, with_teacher_logits
from training.distillation.teacher import TeacherLogits
from training.distribute import own_folder
from training.finalize import EVALUATION_BATCH
from training.optim.build import loss, optimizer
from training.optim.ema import WeightEma
from training.progress import Progress
from training.recipes import Recipe
from training.tf_keras_setup import keras


def fit(
    model: Any,
    recipe: Recipe,
    values: NDArray[Any],
    targets: NDArray[np.int64],
    splits: Splits,
    checkpoints: Path,
    progress: Progress,
    on_epoch: Callable[[int], None],
    devices: Any,
    teacher_logits: TeacherLogits | None = None,
) -> list[dict[str, float]]:
    """Trains `model` on images or features by the recipe; returns a row of metrics an epoch.

    Goes on from the newest checkpoint in `checkpoints`, and leaves one after each epoch, before
    `on_epoch` is told how many are done. `devices` is the strategy whose scope made the model,
    `teacher_logits` what a teacher answers. Where the recipe averages weights, the model ends with the
    average.
    """
    steps = -(-len(splits.train) // recipe.batch_size)
    with devices.scope():
        model.compile(
            optimizer=optimizer(recipe, steps * recipe.epochs),
            loss=loss(recipe, model.output_shape[-1]),
            metrics=[accuracy],
            jit_compile=recipe.xla,
        )
        ema_decay = WeightEma(model, recipe.ema_decay) if recipe.ema_decay else None
        history = checkpoint.restore(checkpoints, model, ema_decay)
    progress.started(len(history), recipe.epochs)
    validation = batches(values, targets, splits.val, EVALUATION_BATCH)
    for epoch in range(len(history), recipe.epochs):
        start = time.perf_counter()
        metrics = model.fit(
            _training_batches(recipe, values, targets, splits, epoch, teacher_logits),
            validation_data=validation,
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=[
                _report(progress, f"epoch {epoch + 1} of {recipe.epochs}", steps),
                *([] if ema_decay is None else [ema_decay]),
            ],
            verbose=0,
        ).history
        row = {name: float(figures[-1]) for name, figures in metrics.items()}
        history.append({**row, "seconds": time.perf_counter() - start})
        checkpoint.save(own_folder(checkpoints), model, ema_decay, history)
        on_epoch(len(history))
        progress.finished_epoch(epoch, history[-1])
    if ema_decay is not None:
        ema_decay.swap()
    return history


def _training_batches(
    recipe: Recipe,
    values: NDArray[Any],
    targets: NDArray[np.int64],
    splits: Splits,
    epoch: int,
    teacher_logits: TeacherLogits | None,
) -> Any:
    augmentation = Augmentation.of(recipe)
    small = epoch < recipe.small_epochs
    height, width = values.shape[1:3] if values.ndim == 4 else (0, 0)
    return batches(
        values,
        targets
        if teacher_logits is None
        else with_teacher_logits(targets, splits.train, teacher_logits(epoch)),
        epoch_order(splits.train, recipe.seed, epoch),
        recipe.batch_size,
        params=augmentation.draw(recipe.copy(epoch), values.shape, splits.train)
        if augmentation
        else None,
        size=(3 * height // 4, 3 * width // 4) if small else None,
    )


def _report(progress: Progress, what: str, steps: int) -> Any:
    def step(batch: int, logs: object) -> None:  # noqa: ARG001  # Keras passes both
        progress.count(what, batch + 1, steps)

    return keras.callbacks.LambdaCallback(on_batch_end=step)
