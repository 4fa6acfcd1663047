"""VGG16 (Simonyan and Zisserman 2014) for small images: its ImageNet features, frozen or not.

Built flat, not as a model within a model, which tensorflow-model-optimization refuses.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.errors import TinysightError
from training.tf_keras_setup import keras, tf

BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
"""Convolutions and filters of each block."""
WEIGHTS_VARIABLE = "TINYSIGHT_VGG16_WEIGHTS"

IMAGENET_MEAN = (123.68, 116.779, 103.939)
"""Red, green, blue, of 255: what VGG16 was trained with subtracted, its channels in the order blue,
green, red. keras.applications.imagenet_utils, mode `caffe`."""

LIKENED = 256
"""So many training images tell `init_from_imagenet` what the channels are like."""
_NEEDS_AT_LEAST = 32
"""Pixels: below, the last of five poolings has nothing left."""


class WeightsError(TinysightError):
    """VGG16's weights cannot be had; the message says what to do."""


def frozen_base(shape: tuple[int, int, int], preprocessing: str) -> Any:
    """The convolution base as Keras ships it: pixels in [0, 1] to (n, h / 32, w / 32, 512).

    With `imagenet`, a 1 x 1 convolution in front does what VGG16's own preprocessing does. It is
    a layer, so that the exported model holds it; and a convolution, so that every tool takes it.
    """
    if min(shape[:2]) < _NEEDS_AT_LEAST:
        raise TinysightError(f"VGG16 needs images of at least {_NEEDS_AT_LEAST} pixels a side")
    image = keras.Input(shape, name="image")
    x = image
    if preprocessing == "imagenet":
        x = keras.layers.Conv2D(3, 1, name="imagenet")(x)
    for block, (convolutions, filters) in enumerate(BLOCKS, start=1):
        for i in range(1, convolutions + 1):
            name = f"block{block}_conv{i}"
            x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(x)
        x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
    base = keras.Model(image, x, name="vgg16")
    if preprocessing == "imagenet":
        swapped = 255 * np.eye(3)[:, ::-1].reshape(1, 1, 3, 3)  # from RGB in [0, 1] to BGR
        base.get_layer("imagenet").set_weights([swapped, -np.array(IMAGENET_MEAN[::-1])])
    base.trainable = False
    return base


def finetuned(
    shape: tuple[int | None, int | None, int],
    classes: int,
    l2: float = 0.0,
    *,
    upsampled: bool = False,
) -> Any:
    """VGG16's convolutions, each with a batch normalization, global max pooling and one Dense.

    Without normalization, all of it learns only at a rate too small for a short training. The
    normalizations fold into the convolutions at export, which are then VGG16's again.

    A shape of (None, None, 3) takes images of any size from 16 pixels; the weights fit both.

    With `upsampled`, it sees each image one and a half times as wide and high, nearer to the size at
    which its features were learned, for 2.25 times the work.
    """
    layers, regular = keras.layers, keras.regularizers.L2(l2) if l2 else None
    image = keras.Input(shape, name="image")
    x = image
    if upsampled:
        x = layers.UpSampling2D(3, interpolation="bilinear", name="enlarge")(x)
        x = layers.AveragePooling2D(2, name="shrink")(x)
    for block, (convolutions, filters) in enumerate(BLOCKS, start=1):
        for i in range(1, convolutions + 1):
            name = f"block{block}_conv{i}"
            x = layers.Conv2D(
                filters, 3, padding="same", use_bias=False, kernel_regularizer=regular, name=name
            )(x)
            # Keras' momentum of 0.99 needs hundreds of steps; small data has twenty an epoch.
            x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
            x = layers.ReLU(name=f"{name}_relu")(x)
        if block < len(BLOCKS):
            x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    height, width = x.shape[1:3]
    if height is None or width is None:
        x = layers.GlobalMaxPooling2D(name="block5_pool")(x)
    else:  # the same, as an operation that int8 engines have
        x = layers.MaxPooling2D((height, width), name="block5_pool")(x)
        x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(classes, kernel_regularizer=regular, dtype="float32", name="logits")(x)
    return keras.Model(image, x, name="vgg16_enlarged" if upsampled else "vgg16_finetuned")


def init_from_imagenet(model: Any, weights: "ImagenetWeights", images: NDArray[np.uint8]) -> None:
    """Sets a `finetuned` model's kernels and normalizations so that it computes VGG16's features.

    Kernels alone do not: VGG16 has biases, a mean that it subtracts, and channels of very different
    strength. Each normalization is given what the following layers expect of its channels, but for
    one factor a layer, which keeps activations near 1 and which ReLU and max pooling hand on. Only
    at the images' margins it is not VGG16, which pads what the mean was subtracted from.

    Args:
        images: uint8 (n, h, w, 3); some of the training images, for what the channels are like.
    """
    weights.load_into(model, rgb=True)
    factor = 255.0  # VGG16's activations are so many times this model's
    x = tf.cast(images, tf.float32) / 255
    for layer in model.layers[1:]:
        if isinstance(layer, keras.layers.BatchNormalization):
            name = layer.name.removesuffix("_bn")
            kernel, bias = weights.layers[name]
            if name == "block1_conv1":
                bias = bias - np.array(IMAGENET_MEAN[::-1]) @ kernel.sum(axis=(0, 1))
            mean, variance = (
                part.numpy() for part in tf.nn.moments(tf.cast(x, tf.float32), [0, 1, 2])
            )
            deviation = factor * np.sqrt(variance + layer.epsilon)
            following = float(np.sqrt(np.mean(deviation**2)))
            shift = factor * mean + bias
            layer.set_weights([deviation / following, shift / following, mean, variance])
            factor = following
        x = layer(x, training=False)


def head(features: tuple[int, ...], classes: int) -> Any:
    """What the notebook puts on the base: Dropout, Flatten, Dense 100, Dense."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(features, name="features"),
            layers.Dropout(0.2, name="drop"),
            layers.Flatten(name="flatten"),
            layers.Dense(100, activation="relu", name="dense1"),
            layers.Dense(classes, dtype="float32", name="logits"),
        ],
        name="head",
    )


def frozen(base: Any, trained_head: Any) -> Any:
    """The whole model, flat: base and head as one, from pixels to logits."""
    x = base.output
    for layer in trained_head.layers:
        x = layer(x)
    return keras.Model(base.input, x, name="vgg16_frozen")


@dataclass(frozen=True, slots=True)
class ImagenetWeights:
    """The kernels and biases of VGG16's thirteen convolutions, by layer."""

    layers: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]

    def fingerprint(self) -> str:
        """SHA-256 over all values, in the order of the layers' names."""
        digest = hashlib.sha256()
        for name in sorted(self.layers):
            for values in self.layers[name]:
                digest.update(values.tobytes())
        return digest.hexdigest()

    def load_into(self, model: Any, *, rgb: bool = False) -> None:
        """Fills a model's convolutions of these names, with biases where they have them.

        With `rgb`, the first kernel, which wants blue first, is turned to images with red first.
        """
        for name, (kernel, bias) in self.layers.items():
            layer = model.get_layer(name)
            turned = kernel[:, :, ::-1] if rgb and name == "block1_conv1" else kernel
            layer.set_weights([turned, bias] if layer.use_bias else [turned])


def read_weights(path: Path | None) -> ImagenetWeights:
    """Reads VGG16's ImageNet weights.

    Args:
        path: the .h5 file; None takes the one that $TINYSIGHT_VGG16_WEIGHTS names, or else lets
            Keras download it.

    Raises:
        WeightsError: no network, or a file that is missing, truncated, or something else.
    """
    named = os.environ.get(WEIGHTS_VARIABLE)
    if path is None and named:
        path = Path(named)
    if path is not None and not path.is_file():
        raise WeightsError(f"{path}: no such file; it should hold VGG16's weights without top")
    try:
        source = keras.applications.VGG16(
            weights="imagenet" if path is None else str(path),
            include_top=False,
            input_shape=(_NEEDS_AT_LEAST, _NEEDS_AT_LEAST, 3),
        )
    except Exception as error:  # urllib's, h5py's and Keras' own have no base in common
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if path is None:
            raise WeightsError(
                f"VGG16's weights cannot be downloaded ({reason}): fetch "
                "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5 on another machine and name "
                f"it by --weights or ${WEIGHTS_VARIABLE}"
            ) from None
        raise WeightsError(
            f"{path} does not hold VGG16's weights without top, whole ({reason}): download it again"
        ) from None
    layers = {layer.name: layer.get_weights() for layer in source.layers if layer.weights}
    for name, (kernel, _) in layers.items():
        if kernel.std() == 0 or not np.isfinite(kernel).all():
            raise WeightsError(f"{path}: {name} holds no weights; download it again")
    return ImagenetWeights({name: (kernel, bias) for name, (kernel, bias) in layers.items()})
