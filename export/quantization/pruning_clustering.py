"""Pruning and clustering: weights that compress, through tensorflow-model-optimization's wrappers.

Neither changes the size of an artifact or its speed: zeros and repeated values are stored and
multiplied like any others. What shrinks is the compressed file, which is what an update sends.
"""

from collections.abc import Sequence
from typing import Any

from export.recipes import Finetuning
from training.tf_keras_setup import keras

_INTERVAL = 10
"""Steps between two updates of the pruning mask."""


def pruned(model: Any, settings: Finetuning) -> Any:
    """The model in a form whose training holds the smallest weights of each layer at zero.

    From the first step on: a trained model recovers from the loss of half its weights in a fraction
    of an epoch, and a gradual schedule would leave a short fine-tuning no time to.
    """
    import tensorflow_model_optimization as tfmot  # late: two seconds

    # Steps are counted from 1; beginning at 0 would prune in step 10 for the first time.
    schedule = tfmot.sparsity.keras.ConstantSparsity(settings.sparsity, 1, frequency=_INTERVAL)
    return tfmot.sparsity.keras.prune_low_magnitude(_copy(model), schedule)


def pruning_callbacks() -> Sequence[Any]:
    """What Keras must call while a `pruned` model trains."""
    import tensorflow_model_optimization as tfmot

    return [tfmot.sparsity.keras.UpdatePruningStep()]


def unpruned(model: Any) -> Any:
    """The plain model of a `pruned` one: its zeros stay."""
    import tensorflow_model_optimization as tfmot

    return tfmot.sparsity.keras.strip_pruning(model)


def clustered(model: Any, settings: Finetuning) -> Any:
    """The model in a form whose training moves shared values instead of single weights."""
    import tensorflow_model_optimization as tfmot
    from tensorflow_model_optimization.python.core.clustering.keras.cluster_config import (
        GradientAggregation,  # the one name of it that is not exported
    )

    return tfmot.clustering.keras.cluster_weights(
        _copy(model),
        number_of_clusters=settings.clusters,
        cluster_centroids_init=tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS,
        # Not the sum over thousands of weights, which no learning rate fits that fits a bias.
        cluster_gradient_aggregation=GradientAggregation.AVG,
    )


def unclustered(model: Any) -> Any:
    """The plain model of a `clustered` one: its weights stay shared values."""
    import tensorflow_model_optimization as tfmot

    return tfmot.clustering.keras.strip_clustering(model)


def _copy(model: Any) -> Any:
    """The wrappers train the layers that they are given."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy
