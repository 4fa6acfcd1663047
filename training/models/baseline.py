"""The seed notebook's CNN."""

from typing import Any

from training.tf_keras_setup import keras

Shape = tuple[int, int, int]
"""Height, width and channels of a model's input."""


def baseline(shape: Shape, classes: int, dropout: float = 0.2) -> Any:
    """The seed notebook's CNN, layer by layer, never changed: 83,030 parameters for CIFAR-10.

    The notebook ends in a softmax and trains on probabilities; here the softmax is part of the
    loss, which is the same function computed more exactly, and leaves logits for export.
    """
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(shape, name="image"),
            layers.Conv2D(32, 3, activation="relu", name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Dropout(dropout, name="drop1"),
            layers.Conv2D(64, 3, activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool2"),
            layers.Dropout(dropout, name="drop2"),
            layers.Conv2D(64, 3, activation="relu", name="conv3"),
            layers.MaxPooling2D(name="pool3"),
            layers.Dropout(dropout, name="drop3"),
            layers.Flatten(name="flatten"),
            layers.Dense(100, activation="relu", name="dense1"),
            layers.Dense(classes, dtype="float32", name="logits"),
        ],
        name="baseline",
    )
