"""Re-parameterized convolutions: parallel branches while training, one convolution on the device.

Beside each 3 x 3 convolution stand a 1 x 1 convolution and, where the shapes allow it, the identity,
each with its own batch normalization; their sum is again a 3 x 3 convolution (Ding et al. 2021,
RepVGG, arXiv 2101.03697; Ding et al. 2019, ACNet). The branches help a network to train and cost
nothing at inference.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.tf_keras_setup import keras

_SIDE = 3
"""Of the kernels that have branches."""
_POINT, _IDENTITY = "_1x1", "_identity"
"""What the names of branches end with; the 3 x 3 convolution has no suffix."""


def add_branches(x: Any, y: Any, name: str, momentum: float, regularizer: Any) -> Any:
    """The normalized output of a 3 x 3 convolution plus that of its branches.

    Args:
        x: the convolution's input, (n, h, w, channels).
        y: its output, normalized, (n, h / stride, w / stride, filters).
        name: the convolution's.
        momentum: of batch normalizations.
        regularizer: of kernels, or None.
    """
    layers = keras.layers
    filters, stride = y.shape[-1], -(-x.shape[1] // y.shape[1])
    point = layers.Conv2D(
        filters,
        1,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=regularizer,
        name=name + _POINT,
    )(x)
    point = layers.BatchNormalization(momentum=momentum, name=f"{name}{_POINT}_bn")(point)
    branches = [y, point]
    if x.shape[1:] == y.shape[1:]:
        same = layers.BatchNormalization(momentum=momentum, name=f"{name}{_IDENTITY}_bn")(x)
        branches.append(same)
    return layers.Add(name=f"{name}_sum")(branches)


def merge_branches(trained: Any, plain: Any) -> None:
    """Gives `plain` the weights with which it computes what `trained` does at inference.

    Layers are matched by name. The batch normalization of a merged convolution has mean 0 and
    variance 1, and so adds the bias alone.

    Args:
        trained: a model with branches.
        plain: the same model without.
    """
    names = {layer.name for layer in trained.layers}
    for layer in plain.layers:
        if not layer.weights:
            continue
        if f"{layer.name}{_POINT}" in names:
            _merge(trained, plain, layer)
        elif f"{layer.name.removesuffix('_bn')}{_POINT}" not in names:
            layer.set_weights(trained.get_layer(layer.name).get_weights())


def _merge(trained: Any, plain: Any, conv: Any) -> None:
    name = conv.name
    kernel, bias = _normalized(trained, name, trained.get_layer(name).get_weights()[0])
    # TensorFlow pads an even side by nothing in front where the stride is 2: a 1 x 1 kernel then
    # takes what the first, not the middle, element of the 3 x 3 kernel takes.
    row, column = (
        _padding_before(size, stride)
        for size, stride in zip(conv.input_shape[1:3], conv.strides, strict=True)
    )
    point = trained.get_layer(name + _POINT).get_weights()[0]
    point_kernel, point_bias = _normalized(trained, name + _POINT, point)
    kernel[row, column] += point_kernel[0, 0]
    bias += point_bias
    if f"{name}{_IDENTITY}_bn" in {layer.name for layer in trained.layers}:
        identity = np.eye(kernel.shape[3], dtype=kernel.dtype)[None, None]
        same_kernel, same_bias = _normalized(trained, name + _IDENTITY, identity)
        kernel[1, 1] += same_kernel[0, 0]
        bias += same_bias
    conv.set_weights([kernel])
    normalization = plain.get_layer(f"{name}_bn")
    one = np.ones_like(bias)
    scale = one * np.sqrt(1 + normalization.epsilon)
    normalization.set_weights([scale, bias, 0 * one, one])


def _normalized(
    trained: Any, name: str, kernel: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The kernel and the bias of a convolution with the batch normalization that follows it."""
    normalization = trained.get_layer(f"{name}_bn")
    gamma, beta, mean, variance = normalization.get_weights()
    scale = gamma / np.sqrt(variance + normalization.epsilon)
    return kernel * scale, beta - mean * scale


def _padding_before(size: int, stride: int) -> int:
    """Rows that TensorFlow's padding "same" adds in front of `size` rows for a 3 x 3 kernel."""
    steps = -(-size // stride)
    return int(max((steps - 1) * stride + _SIDE - size, 0) // 2)
