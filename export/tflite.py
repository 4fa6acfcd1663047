"""TFLite artifacts, float32 and full int8, through TensorFlow's converter."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.keras_to_onnx import PIXEL_SCALE
from export.passes import ExportError
from tinysight.console import native_stderr_held_back
from training.keras import keras, tf


def float32(model: Any) -> bytes:
    """uint8 (n, h, w, 3) to float32 logits; the only added work is one cast."""
    image = keras.Input(model.input_shape[1:], dtype=tf.uint8, name="image")
    whole = keras.Model(image, _over_pixels(model)(tf.cast(image, tf.float32)))
    return _convert(tf.lite.TFLiteConverter.from_keras_model(whole))


def static_w8a8(model: Any, calibration: NDArray[np.uint8]) -> bytes:
    """uint8 (n, h, w, 3) to float32 logits, int8 in between.

    Args:
        model: float32 in [0, 1] to logits.
        calibration: uint8 (n, h, w, 3), training images only.
    """
    images = np.array(calibration)
    # The input's range is what calibration saw. Two corner pixels make that 0 to 255 exactly, so
    # that the scale is 1 and the device's bytes go in as they are.
    images[0, 0, 0], images[0, -1, -1] = 0, 255

    def representative() -> Iterator[list[NDArray[np.float32]]]:
        for image in images:
            yield [image[None].astype(np.float32)]

    converter = tf.lite.TFLiteConverter.from_keras_model(_over_pixels(model))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    return _convert(converter)


def _over_pixels(model: Any) -> Any:
    """A copy that takes pixel values: the scale goes into the first convolution's weights."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    first = next((layer for layer in copy.layers if layer.weights), None)
    if not isinstance(first, keras.layers.Conv2D):
        raise ExportError("the model must begin with a convolution")
    kernel, *rest = first.get_weights()
    first.set_weights([kernel * np.float32(PIXEL_SCALE), *rest])
    return copy


def _convert(converter: Any) -> bytes:
    with native_stderr_held_back():
        return bytes(converter.convert())
