"""The edge family: plain stacks of 3 x 3 convolutions, wide enough for the device's kernels.

Few, wide, dense layers: an addition, a pointwise or a depthwise convolution takes an engine about
as long as a dense convolution of many times its multiply-accumulates (`python -m benchmarks search`
measures it).
Every convolution is followed by a batch normalization, which folds into it at export, and a ReLU,
which int8 keeps exact: what a device runs is convolutions, one average and one dense layer.
"""

from typing import Any

from training.conv_stack import STACKS, STEM, Stack
from training.models.baseline import Shape
from training.models.branches import add_branches, merge_branches
from training.models.dirac import dirac_init
from training.tf_keras_setup import keras

_BN_MOMENTUM = 0.9
"""Keras' default of 0.99 needs hundreds of steps; large batches have fewer an epoch."""


def build(name: str, shape: Shape, classes: int, l2: float = 0.0, *, branches: bool = False) -> Any:
    """A model from float32 pixels in [0, 1], (n, h, w, 3), to logits (n, classes).

    Args:
        name: a member of the family, or any stack as `Stack.parse` reads it.
        shape: height, width and channels.
        classes: how many.
        l2: weight of the L2 penalty on kernels.
        branches: whether 3 x 3 convolutions have them; `merged` makes the plain model of it.
    """
    stack = STACKS[name] if name in STACKS else Stack.parse(name)
    layers, regular = keras.layers, keras.regularizers.L2(l2) if l2 else None
    image = keras.Input(shape, name="image")
    x = image
    for i, (filters, stride) in enumerate(zip(stack.filters, stack.strides, strict=True), start=1):
        before = x
        x = layers.Conv2D(
            filters,
            STEM if i == 1 else 3,
            stride,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            kernel_regularizer=regular,
            name=f"conv{i}",
        )(x)
        x = layers.BatchNormalization(momentum=_BN_MOMENTUM, name=f"conv{i}_bn")(x)
        if branches and i > 1:
            x = add_branches(before, x, f"conv{i}", _BN_MOMENTUM, regular)
        x = layers.ReLU(name=f"conv{i}_relu")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(classes, kernel_regularizer=regular, dtype="float32", name="logits")(x)
    model = keras.Model(image, x, name=name)
    dirac_init(model)
    return model


def merged(trained: Any) -> Any:
    """The plain model that computes what `trained`, with branches, computes at inference."""
    plain = build(trained.name, trained.input_shape[1:], trained.output_shape[-1])
    merge_branches(trained, plain)
    return plain
