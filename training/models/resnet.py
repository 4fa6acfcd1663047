"""Residual networks for 32 x 32 images, the usual references: ResNet-8 and ResNet-20.

He et al. (2016), section 4.2, with a convolution on the shortcut where the shape changes, as in
MLPerf Tiny's ResNet-8 (mlcommons/tiny, image_classification).
"""

from typing import Any

from training.models.baseline import Shape
from training.tf_keras_setup import keras

BLOCKS = {"resnet8": 1, "resnet20": 3}
"""Residual blocks in each of the three stages of 16, 32 and 64 filters."""


def build(name: str, shape: Shape, classes: int, l2: float = 0.0) -> Any:
    """One of `BLOCKS`: float32 pixels in [0, 1], (n, h, w, 3), to logits (n, classes)."""
    layers, regular = keras.layers, keras.regularizers.L2(l2) if l2 else None

    def convolution(x: Any, filters: int, size: int, stride: int, name: str) -> Any:
        x = layers.Conv2D(
            filters,
            size,
            stride,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            kernel_regularizer=regular,
            name=name,
        )(x)
        return layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)

    image = keras.Input(shape, name="image")
    x = layers.ReLU(name="stem_relu")(convolution(image, 16, 3, 1, "stem"))
    for stage, filters in enumerate((16, 32, 64), start=1):
        for block in range(1, BLOCKS[name] + 1):
            prefix = f"stage{stage}_block{block}"
            stride = 2 if stage > 1 and block == 1 else 1
            y = convolution(x, filters, 3, stride, f"{prefix}_conv1")
            y = layers.ReLU(name=f"{prefix}_relu1")(y)
            y = convolution(y, filters, 3, 1, f"{prefix}_conv2")
            if stride == 2:
                x = convolution(x, filters, 1, stride, f"{prefix}_shortcut")
            x = layers.Add(name=f"{prefix}_add")([x, y])
            x = layers.ReLU(name=f"{prefix}_relu2")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(classes, kernel_regularizer=regular, dtype="float32", name="logits")(x)
    return keras.Model(image, x, name=name)
