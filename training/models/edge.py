"""The edge family: plain stacks of 3 x 3 convolutions, wide enough for the device's kernels.

Few, wide, dense layers: an addition, a pointwise or a depthwise convolution takes an engine about
as long as a dense convolution of many times its multiply-accumulates (`python -m benchmarks search`
measures it).
Every convolution is followed by a batch normalization, which folds into it at export, and a ReLU,
which int8 keeps exact: what a device runs is convolutions, one average and one dense layer.
"""

from typing import Any

from training.conv_stack import Stack
from training.models.baseline import Shape
from training.models.dirac import dirac_init
from training.tf_keras_setup import keras

_STEM = 4
"""Side of the first kernel: with a stride of 2, a side of 4 covers every pixel equally often."""

STACKS = {
    "edge_s": Stack.parse("32s2-32-64s2-64-64-128s2-128"),
    "edge_m": Stack.parse("32s2-48-48-96s2-96-96-112s2-96"),
    "edge_l": Stack.parse("64s2-96-160s2-160-160-256s2-256-256"),
}
"""By name; how they were found: benchmarks/results/edge/search.md."""


def build(name: str, shape: Shape, classes: int, l2: float = 0.0) -> Any:
    """A model from float32 pixels in [0, 1], (n, h, w, 3), to logits (n, classes).

    Args:
        name: a member of the family, or any stack as `Stack.parse` reads it.
        shape: height, width and channels.
        classes: how many.
        l2: weight of the L2 penalty on kernels.
    """
    stack = STACKS[name] if name in STACKS else Stack.parse(name)
    layers, regular = keras.layers, keras.regularizers.L2(l2) if l2 else None
    image = keras.Input(shape, name="image")
    x = image
    for i, (filters, stride) in enumerate(zip(stack.filters, stack.strides, strict=True), start=1):
        x = layers.Conv2D(
            filters,
            _STEM if i == 1 else 3,
            stride,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            kernel_regularizer=regular,
            name=f"conv{i}",
        )(x)
        # Keras' momentum of 0.99 needs hundreds of steps; large batches have fewer an epoch.
        x = layers.BatchNormalization(momentum=0.9, name=f"conv{i}_bn")(x)
        x = layers.ReLU(name=f"conv{i}_relu")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(classes, kernel_regularizer=regular, dtype="float32", name="logits")(x)
    model = keras.Model(image, x, name=name)
    dirac_init(model)
    return model
