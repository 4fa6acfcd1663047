"""Distillation: Hinton, Vinyals and Dean (2015), Distilling the Knowledge in a Neural Network.

The targets of a distilled batch are float32 (b, 1 + classes): the class index, then the teacher's
logits for the very same augmented pixels (Beyer et al. 2022, arXiv 2106.05237, show that they must
be the same). Validation batches have class indices alone, and the loss on labels.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.outliers import NO_CLASS
from training.recipes import Recipe
from training.tf_keras_setup import keras, tf


def with_teacher_logits(
    targets: NDArray[np.int64], rows: NDArray[np.int64], logits: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """The targets of a distilled epoch.

    Args:
        targets: (n,), class indices.
        rows: indices of the images that `logits` are for; the others get zeros.
        logits: (len(rows), classes), the teacher's.

    Returns:
        float32 (n, 1 + classes).
    """
    # Zeros are an even answer: of a picture of no class, a student learns just that.
    combined = np.zeros((len(targets), 1 + logits.shape[1]), np.float32)
    combined[:, 0] = targets  # exact, as no data has 2 ** 24 classes
    combined[rows, 1:] = logits
    return combined


def distillation_loss(
    recipe: Recipe, classes: int, label_loss: Callable[[Any, Any], Any]
) -> Callable[[Any, Any], Any]:
    """The loss of a student; targets without teacher logits get `label_loss`.

    weight * T^2 * KL(teacher / T || student / T) + (1 - weight) * label_loss: the square of the
    temperature T keeps the gradient of the first term in proportion to that of the second.
    """
    temperature, weight = recipe.temperature, recipe.teacher_weight

    def loss(targets: Any, logits: Any) -> Any:
        if not _has_teacher_logits(targets, classes):
            return label_loss(targets, logits)
        teacher = tf.nn.log_softmax(targets[:, 1:] / temperature)
        student = tf.nn.log_softmax(tf.cast(logits, tf.float32) / temperature)
        divergence = tf.reduce_sum(tf.exp(teacher) * (teacher - student), axis=-1)
        # Per image, as Keras expects of a function: it takes the mean over the global batch.
        return weight * temperature**2 * divergence + (1 - weight) * label_loss(
            targets[:, 0], logits
        )

    return loss


def accuracy(targets: Any, logits: Any) -> Any:
    """Whether the largest logit is that of the label, float32 (b,), for both kinds of targets."""
    if _has_teacher_logits(targets, logits.shape[-1]):
        targets = targets[:, :1]
    return keras.metrics.sparse_categorical_accuracy(targets, logits)


class KnownAccuracy(keras.metrics.Mean):  # type: ignore[misc]
    """The mean of `accuracy` over the images of a class; those of none are left out."""

    def __init__(self) -> None:
        super().__init__("accuracy")

    def update_state(self, targets: Any, logits: Any, sample_weight: Any = None) -> Any:  # noqa: ARG002
        labels = targets[:, 0] if len(targets.shape) == 2 else targets
        known = tf.cast(labels > NO_CLASS, tf.float32)
        return super().update_state(tf.reshape(accuracy(targets, logits), [-1]), known)


def _has_teacher_logits(targets: Any, classes: int) -> bool:
    return bool(len(targets.shape) == 2 and targets.shape[1] == 1 + classes)
