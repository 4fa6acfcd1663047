"""A teacher that trains in minutes: the network of airbench (Jordan 2024, arXiv 2404.00498).

A frozen layer that whitens small patches, then three pairs of wide convolutions. It is a teacher,
not a model for a device: 118 million multiply-accumulates for an image of 32 x 32.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.models.dirac import dirac_init
from training.tf_keras_setup import keras

WIDTHS = (64, 256, 256)
"""Filters of each pair of convolutions."""
_PATCH = 2
"""The side of the whitened patches."""
_EPSILON = 5e-4
"""Added to the variances, of images in units of their standard deviation: section 3.2."""
_SILENT = 1e-6
"""Of that variance: a component with less holds nothing but rounding."""
WHITENED = 5000
"""So many images decide the whitening."""


def build(
    shape: tuple[int | None, int | None, int],
    classes: int,
    l2: float = 0.0,
    widths: Sequence[int] = WIDTHS,
) -> Any:
    """Float32 (n, h, w, 3) in [0, 1] to logits (n, classes); `whiten` it before it is trained."""
    layers, regular = keras.layers, keras.regularizers.L2(l2) if l2 else None
    image = keras.Input(shape, name="image")
    patch = _PATCH**2 * shape[2]
    x = layers.Conv2D(2 * patch, _PATCH, trainable=False, name="whiten")(image)
    x = layers.Activation("gelu", name="whiten_gelu")(x)
    for block, filters in enumerate(widths, start=1):
        for i in (1, 2):
            name = f"block{block}_conv{i}"
            x = layers.Conv2D(
                filters,
                3,
                padding="same",
                use_bias=False,
                kernel_initializer="he_uniform",
                kernel_regularizer=regular,
                name=name,
            )(x)
            if i == 1:
                x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
            x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
            x = layers.Activation("gelu", name=f"{name}_gelu")(x)
    x = layers.GlobalMaxPooling2D(name="pool")(x)
    x = layers.Dense(classes, kernel_regularizer=regular, dtype="float32", name="logits")(x)
    model = keras.Model(image, x, name="airbench")
    dirac_init(model)
    return model


def whiten(model: Any, images: NDArray[np.uint8]) -> None:
    """Sets the frozen layer: patches of `images` (n, h, w, 3) leave it uncorrelated, of variance 1.

    Each of the patches' principal components, and its negative, since what follows is one-sided.

    Grey images have no colour to separate: components without variance give way to repeated others.
    Such a channel would be handed on through all layers, and each normalization would multiply its
    gradient, until the first step is so large that nothing is learned any more.
    """
    some = images.astype(np.float64) / 255
    windows = np.lib.stride_tricks.sliding_window_view(some, (_PATCH, _PATCH), axis=(1, 2))
    # (n, h, w, channel, y, x) to rows in the order of a kernel: y, x, channel
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, _PATCH**2 * images.shape[3])
    mean, covariance = patches.mean(axis=0), np.cov(patches, rowvar=False)
    variances, components = np.linalg.eigh(covariance)
    if some.var() > 0:
        speaking = np.flatnonzero(variances > _SILENT * some.var())
        chosen = np.resize(speaking, len(variances))
        variances, components = variances[chosen], components[:, chosen]
    scaled = components / np.sqrt(variances + _EPSILON * some.var())
    both = np.concatenate([scaled, -scaled], axis=1)
    kernel = both.reshape(_PATCH, _PATCH, images.shape[3], -1)
    model.get_layer("whiten").set_weights([kernel, -mean @ both])
