"""The network of airbench (Jordan 2024, arXiv 2404.00498): a teacher that trains in minutes.

A frozen layer that whitens small patches, then three pairs of wide convolutions. Meant as a
teacher, not for a device: it takes 118 million multiply-accumulates per image of 32 x 32, and
`airbench_wide` 301 million.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.models.baseline import Shape
from training.models.dirac import dirac_init
from training.tf_keras_setup import keras

WIDTHS = {"airbench": (64, 256, 256), "airbench_wide": (128, 384, 384)}
"""Filters of each pair of convolutions, by model: in the paper, airbench94's and airbench95's."""
_PATCH = 2
"""Side of the whitened patches, pixels."""
_EPSILON = 5e-4
"""Added to the variances, relative to the variance of the pixels: section 3.2."""
_MIN_VARIANCE = 1e-6
"""Relative to the variance of the pixels: a component with less is rounding error."""
WHITENING_IMAGES = 5000
"""Training images from which the whitening is computed."""


def build(name: str, shape: Shape, classes: int, l2: float = 0.0) -> Any:
    """A model from float32 pixels in [0, 1], (n, h, w, 3), to logits (n, classes).

    Call `whiten` on it before it is trained.

    Args:
        name: of `WIDTHS`.
        shape: height, width and channels.
        classes: how many.
        l2: weight of the L2 penalty on kernels.
    """
    layers, regular = keras.layers, keras.regularizers.L2(l2) if l2 else None
    image = keras.Input(shape, name="image")
    patch = _PATCH**2 * shape[2]
    x = layers.Conv2D(2 * patch, _PATCH, trainable=False, name="whiten")(image)
    x = layers.Activation("gelu", name="whiten_gelu")(x)
    for block, filters in enumerate(WIDTHS[name], start=1):
        for i in (1, 2):
            layer = f"block{block}_conv{i}"
            x = layers.Conv2D(
                filters,
                3,
                padding="same",
                use_bias=False,
                kernel_initializer="he_uniform",
                kernel_regularizer=regular,
                name=layer,
            )(x)
            if i == 1:
                x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
            x = layers.BatchNormalization(momentum=0.9, name=f"{layer}_bn")(x)
            x = layers.Activation("gelu", name=f"{layer}_gelu")(x)
    x = layers.GlobalMaxPooling2D(name="pool")(x)
    x = layers.Dense(classes, kernel_regularizer=regular, dtype="float32", name="logits")(x)
    model = keras.Model(image, x, name=name)
    dirac_init(model)
    return model


def whiten(model: Any, images: NDArray[np.uint8]) -> None:
    """Sets the frozen layer so that its outputs on patches are uncorrelated, with variance 1.

    The filters are the patches' principal components and their negatives, since the activation
    that follows is one-sided.

    Grey images have components without variance; these are replaced by repetitions of the others.
    A channel that is constant would pass through the Dirac-initialized layers, and each batch
    normalization would multiply its gradient until the first step diverges.

    Args:
        model: from `build`.
        images: uint8 (n, h, w, 3).
    """
    pixels = images.astype(np.float64) / 255
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (_PATCH, _PATCH), axis=(1, 2))
    # (n, h, w, channel, y, x) to rows in the order of a kernel: y, x, channel
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, _PATCH**2 * images.shape[3])
    mean, covariance = patches.mean(axis=0), np.cov(patches, rowvar=False)
    variances, components = np.linalg.eigh(covariance)
    if pixels.var() > 0:
        varying = np.flatnonzero(variances > _MIN_VARIANCE * pixels.var())
        chosen = np.resize(varying, len(variances))
        variances, components = variances[chosen], components[:, chosen]
    scaled = components / np.sqrt(variances + _EPSILON * pixels.var())
    both = np.concatenate([scaled, -scaled], axis=1)
    kernel = both.reshape(_PATCH, _PATCH, images.shape[3], -1)
    model.get_layer("whiten").set_weights([kernel, -mean @ both])
