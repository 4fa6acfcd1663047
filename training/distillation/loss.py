"""Learning from a teacher: Hinton, Vinyals and Dean (2015), Distilling the Knowledge in a Network.

A taught batch's targets are float32 (b, 1 + classes): the class index, then the teacher's logits
for the very same pixels (Beyer et al. 2022 show that they must be the same). A batch that is only
validated has class indices alone, and its loss is the cross-entropy on them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.recipes import Recipe
from training.tf_keras_setup import keras, tf


def with_teacher_logits(
    targets: NDArray[np.int64], rows: NDArray[np.int64], logits: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """Targets for a taught epoch.

    Args:
        targets: (n,), class indices.
        rows: which of the images the teacher answered for; the others get zeros.
        logits: (len(rows), classes).

    Returns:
        float32 (n, 1 + classes).
    """
    taught = np.zeros((len(targets), 1 + logits.shape[1]), np.float32)
    taught[:, 0] = targets  # exact, as no data has 2 ** 24 classes
    taught[rows, 1:] = logits
    return taught


def distillation_loss(
    recipe: Recipe, classes: int, on_indices: Callable[[Any, Any], Any]
) -> Callable[[Any, Any], Any]:
    """The loss of a taught student, which also takes targets without a teacher.

    weight * T^2 * KL(teacher / T || student / T) + (1 - weight) * on_indices: the square of the
    temperature T keeps the gradient of the first term in proportion to that of the second.
    """
    temperature, weight = recipe.temperature, recipe.teacher_weight

    def loss(targets: Any, logits: Any) -> Any:
        if not _is_taught(targets, classes):
            return on_indices(targets, logits)
        wanted = tf.nn.log_softmax(targets[:, 1:] / temperature)
        got = tf.nn.log_softmax(tf.cast(logits, tf.float32) / temperature)
        divergence = tf.reduce_sum(tf.exp(wanted) * (wanted - got), axis=-1)
        # Per image, as Keras wants it of a function: it takes the mean over the global batch.
        return weight * temperature**2 * divergence + (1 - weight) * on_indices(
            targets[:, 0], logits
        )

    return loss


def accuracy(targets: Any, logits: Any) -> Any:
    """Which answers name the class of the label, float32 (b,), whether taught or not."""
    if _is_taught(targets, logits.shape[-1]):
        targets = targets[:, :1]
    return keras.metrics.sparse_categorical_accuracy(targets, logits)


def _is_taught(targets: Any, classes: int) -> bool:
    return bool(len(targets.shape) == 2 and targets.shape[1] == 1 + classes)
