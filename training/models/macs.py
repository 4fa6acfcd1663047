"""Multiply-accumulates of a model."""

import math
from typing import Any

from training.tf_keras_setup import keras


def multiply_accumulates(model: Any) -> int:
    """Multiply-accumulates of all convolutions and dense layers of a Keras model, for one image."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            _, height, width, _ = layer.output_shape
            total += height * width * math.prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.Dense):
            total += math.prod(layer.kernel.shape)
    return total
