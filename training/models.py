"""The models by name: each takes float pixels in [0, 1], NHWC, and gives logits."""

from typing import Any

from training import airbench, edge, resnet, vgg16
from training.keras import keras
from training.recipes import Recipe

Shape = tuple[int | None, int | None, int]


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


def build(recipe: Recipe, shape: Shape, classes: int) -> Any:
    """A new model with random weights, for what is trained end to end."""
    if recipe.model == "baseline":
        return baseline(shape, classes)
    if recipe.model == "baseline_distilled":
        # The same network on a device. Dropout guards against learning by heart, which a network
        # so small does not when a teacher answers for ever new images.
        return baseline(shape, classes, dropout=0.0)
    if recipe.model in resnet.BLOCKS:
        return resnet.build(recipe.model, shape, classes, recipe.l2)
    if recipe.model == "airbench":
        return airbench.build(shape, classes, recipe.l2)
    if recipe.model == "vgg16_finetuned":
        return vgg16.finetuned(shape, classes, recipe.l2)
    if recipe.model == "vgg16_enlarged":
        return vgg16.finetuned(shape, classes, recipe.l2, enlarged=True)
    # A member of the edge family, or a stack as the search for it writes them.
    return edge.build(recipe.model, shape, classes, recipe.l2)
