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
from training.models.baseline import Shape
from training.tf_keras_setup import keras, tf

BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
"""Convolutions and filters of each block."""
WEIGHTS_VARIABLE = "TINYSIGHT_VGG16_WEIGHTS"

IMAGENET_MEAN = (123.68, 116.779, 103.939)
"""Red, green and blue, in [0, 255]: subtracted from the pixels that VGG16 was trained on, whose
order was blue, green, red. keras.applications.imagenet_utils, mode `caffe`."""

STATISTICS_IMAGES = 256
"""Training images from which `init_from_imagenet` takes the channels' mean and variance."""
MIN_SIDE = 32
"""Pixels: a smaller image is empty before the last of the five poolings."""


class WeightsError(TinysightError):
    """VGG16's weights cannot be read or downloaded; the message says what to do."""


def frozen_base(shape: Shape, preprocessing: str) -> Any:
    """The convolution base as Keras ships it: pixels in [0, 1] to (n, h / 32, w / 32, 512).

    With `imagenet`, a 1 x 1 convolution in front does VGG16's own preprocessing: a layer, so that
    the exported model contains it, and a convolution, so that every converter supports it.
    """
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
        to_bgr = 255 * np.eye(3)[:, ::-1].reshape(1, 1, 3, 3)  # from [0, 1]
        base.get_layer("imagenet").set_weights([to_bgr, -np.array(IMAGENET_MEAN[::-1])])
    base.trainable = False
    return base


def finetuned(
    shape: Shape,
    classes: int,
    l2: float = 0.0,
    *,
    upsampled: bool = False,
) -> Any:
    """VGG16's convolutions, each with a batch normalization, global max pooling and one Dense.

    Without normalization, only learning rates that are too small for a short training are stable.
    The normalizations fold into the convolutions at export, which are then VGG16's again.

    With `upsampled`, each image is first scaled up by 1.5, closer to the size at which the features
    were learned, at 2.25 times the multiply-accumulates.
    """
    layers, regular = keras.layers, keras.regularizers.L2(l2) if l2 else None
    image = keras.Input(shape, name="image")
    x = image
    if upsampled:
        x = layers.UpSampling2D(3, interpolation="bilinear", name="upsample")(x)
        x = layers.AveragePooling2D(2, name="downsample")(x)
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
    # Global max pooling, as an operation that int8 engines have.
    x = layers.MaxPooling2D(tuple(x.shape[1:3]), name="block5_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(classes, kernel_regularizer=regular, dtype="float32", name="logits")(x)
    return keras.Model(image, x, name="vgg16_upsampled" if upsampled else "vgg16_finetuned")


def init_from_imagenet(model: Any, weights: "ImagenetWeights", images: NDArray[np.uint8]) -> None:
    """Sets a `finetuned` model's kernels and normalizations so that it computes VGG16's features.

    Kernels alone do not suffice: VGG16 also has biases, subtracts a mean, and its channels have
    very different scales. Each normalization gets the offset and scale that the next layer expects
    of its channels, up to one factor per layer, which keeps activations near 1 and which commutes
    with ReLU and max pooling. Only at the images' borders the features differ, since VGG16 pads
    after it has subtracted the mean.

    Args:
        model: from `finetuned`.
        weights: VGG16's.
        images: uint8 (n, h, w, 3), training images for the channels' mean and variance.
    """
    weights.load_into(model, rgb=True)
    factor = 255.0  # VGG16's activations over this model's
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
            scale = float(np.sqrt(np.mean(deviation**2)))
            shift = factor * mean + bias
            layer.set_weights([deviation / scale, shift / scale, mean, variance])
            factor = scale
        x = layer(x, training=False)


def head(features: tuple[int, ...], classes: int) -> Any:
    """The notebook's classifier on the base's features: Dropout, Flatten, Dense 100, Dense."""
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


def join(base: Any, trained_head: Any) -> Any:
    """Base and head as one flat model, from pixels to logits."""
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

        With `rgb`, the first kernel, which takes BGR, is reversed to take RGB.
        """
        for name, (kernel, bias) in self.layers.items():
            layer = model.get_layer(name)
            values = kernel[:, :, ::-1] if rgb and name == "block1_conv1" else kernel
            layer.set_weights([values, bias] if layer.use_bias else [values])


def read_weights(path: Path | None) -> ImagenetWeights:
    """Reads VGG16's ImageNet weights.

    Args:
        path: the .h5 file; None takes that of $TINYSIGHT_VGG16_WEIGHTS, or else downloads it.

    Raises:
        WeightsError: no network, or a file that is missing, damaged, or of another model.
    """
    named = os.environ.get(WEIGHTS_VARIABLE)
    if path is None and named:
        path = Path(named)
    if path is not None and not path.is_file():
        raise WeightsError(f"{path}: no such file; expected are VGG16's weights without top")
    try:
        source = keras.applications.VGG16(
            weights="imagenet" if path is None else str(path),
            include_top=False,
            input_shape=(MIN_SIDE, MIN_SIDE, 3),
        )
    except Exception as error:  # those of urllib, h5py and Keras have no common base
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if path is None:
            raise WeightsError(
                f"VGG16's weights cannot be downloaded ({reason}): fetch "
                "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5 on another machine and name "
                f"it with --weights or ${WEIGHTS_VARIABLE}"
            ) from None
        raise WeightsError(
            f"{path} is not a complete file of VGG16's weights without top ({reason}): download it "
            "again"
        ) from None
    layers = {layer.name: layer.get_weights() for layer in source.layers if layer.weights}
    for name, (kernel, _) in layers.items():
        if kernel.std() == 0 or not np.isfinite(kernel).all():
            raise WeightsError(f"{path}: {name} has no weights; download it again")
    return ImagenetWeights({name: (kernel, bias) for name, (kernel, bias) in layers.items()})
