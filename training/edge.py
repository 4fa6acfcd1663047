"""The edge family: plain stacks of 3 x 3 convolutions, as wide as the device's kernels like them.

Few, wide, dense layers: an addition, a pointwise or a depthwise convolution costs an engine about
as much as a dense convolution with many times their work (`python -m benchmarks search` shows it).
Every convolution is followed by a batch normalization, which folds into it at export, and a ReLU,
which int8 keeps exact: what a device runs is convolutions, one average and one dense layer.
"""

from dataclasses import dataclass
from typing import Any

from training.keras import keras


@dataclass(frozen=True, slots=True)
class Stack:
    """A plain stack: the filters of each convolution, and where the image shrinks."""

    filters: tuple[int, ...]
    strides: tuple[int, ...]
    """Of each convolution, 1 or 2."""
    stem: int = 4
    """The side of the first kernel. With a stride of 2, one of 4 sees every pixel equally often."""

    def __post_init__(self) -> None:
        if not self.filters or len(self.filters) != len(self.strides):
            raise ValueError("a stack needs as many strides as filters, and at least one")
        if any(count < 1 for count in self.filters) or not set(self.strides) <= {1, 2}:
            raise ValueError("filters are at least 1, strides 1 or 2")


STACKS = {
    "edge_s": Stack((32, 48, 64, 64, 128, 128), (2, 1, 2, 1, 2, 1)),
    "edge_m": Stack((32, 64, 128, 128, 192, 192), (2, 1, 2, 1, 2, 1)),
    "edge_l": Stack((64, 128, 192, 192, 256, 256, 256), (2, 1, 2, 1, 2, 1, 1)),
}
"""The members by name. How they were found: benchmarks/results/edge/search.md."""


def build(
    name: str, shape: tuple[int | None, int | None, int], classes: int, l2: float = 0.0
) -> Any:
    """A member of the family: float32 (n, h, w, 3) in [0, 1] to logits (n, classes)."""
    return build_stack(STACKS[name], shape, classes, l2, name)


def build_stack(
    stack: Stack,
    shape: tuple[int | None, int | None, int],
    classes: int,
    l2: float = 0.0,
    name: str = "stack",
) -> Any:
    """The network of any stack, as the search tries them."""
    layers, regular = keras.layers, keras.regularizers.L2(l2) if l2 else None
    image = keras.Input(shape, name="image")
    x = image
    for i, (filters, stride) in enumerate(zip(stack.filters, stack.strides, strict=True), start=1):
        x = layers.Conv2D(
            filters,
            stack.stem if i == 1 else 3,
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
    return keras.Model(image, x, name=name)
