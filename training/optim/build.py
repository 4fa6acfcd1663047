"""Optimizer and loss of a recipe."""

from typing import Any

from training.data.outliers import NO_CLASS
from training.distillation.loss import distillation_loss
from training.optim.layerwise import LayerwiseSgd
from training.optim.muon import Muon
from training.recipes import Recipe
from training.tf_keras_setup import keras, tf

WARM_UP = 0.2
"""The fraction of all steps over which the learning rate rises."""
MOMENTUM = 0.9


class TriangularSchedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Linear warm-up to the peak over the first fifth of the steps, then linear decay to zero."""

    def __init__(self, peak: float, steps: int) -> None:
        self.peak, self.steps = peak, steps

    def __call__(self, step: Any) -> Any:
        done = tf.cast(step, tf.float32) / self.steps
        rising, falling = (done + 1 / self.steps) / WARM_UP, (1 - done) / (1 - WARM_UP)
        return self.peak * tf.minimum(tf.minimum(rising, falling), 1.0)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "steps": self.steps}


def optimizer(recipe: Recipe, steps: int) -> Any:
    """A new optimizer for a training of `steps` steps in total."""
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(recipe.learning_rate)
    rate = TriangularSchedule(recipe.learning_rate, steps)
    if recipe.optimizer == "muon":
        return Muon(rate, MOMENTUM)
    if recipe.layer_decay < 1:
        return LayerwiseSgd(rate, MOMENTUM, recipe.layer_decay)
    return keras.optimizers.SGD(rate, momentum=MOMENTUM, nesterov=True)


def loss(recipe: Recipe, classes: int) -> Any:
    """The loss of a recipe: cross-entropy with label smoothing; with a teacher, distillation.

    Returns a function of targets, int64 (b,) or those of `training.distillation.loss`, and logits
    (b, classes), to the loss of each image, float32 (b,). Of a picture of no class, every class is
    equally right.
    """

    def on_indices(targets: Any, logits: Any) -> Any:
        indices = tf.reshape(tf.cast(targets, tf.int32), [-1])
        one_hot = tf.one_hot(indices, classes)
        one_hot = tf.where((indices == NO_CLASS)[:, None], 1 / classes, one_hot)
        return keras.losses.categorical_crossentropy(
            one_hot,
            tf.cast(logits, tf.float32),
            from_logits=True,
            label_smoothing=recipe.label_smoothing,
        )

    return on_indices if recipe.teacher is None else distillation_loss(recipe, classes, on_indices)
