"""TFLite artifacts, through TensorFlow's converter. All take uint8 and give float32 logits."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.formats.keras_rewrites import optimize_for_xnnpack
from export.formats.onnx import PIXEL_SCALE
from tinysight.console import captured_native_stderr
from training.tf_keras_setup import keras, tf


def float32(model: Any) -> bytes:
    """uint8 (n, h, w, 3) to float32 logits; the only added work is one cast."""
    return _convert(tf.lite.TFLiteConverter.from_keras_model(_from_uint8(model)))


def float16(model: Any) -> bytes:
    """As `float32`, with weights stored in float16: a CPU turns them back when it loads them."""
    converter = tf.lite.TFLiteConverter.from_keras_model(_from_uint8(model))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return _convert(converter)


def dynamic_w8(model: Any) -> bytes:
    """As `float32`, with int8 weights; kernels quantize activations in every call."""
    converter = tf.lite.TFLiteConverter.from_keras_model(_from_uint8(model))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return _convert(converter)


def static_w8a8(model: Any, images: NDArray[np.uint8]) -> bytes:
    """uint8 (n, h, w, 3) to float32 logits, int8 in between.

    Args:
        model: float32 in [0, 1] to logits.
        images: uint8 (n, h, w, 3) to calibrate on, training images only.
    """
    images = np.array(images)
    # The input's range is what calibration saw. Two corner pixels make that 0 to 255 exactly, so
    # that the scale is 1 and the device's bytes go in as they are.
    images[0, 0, 0], images[0, -1, -1] = 0, 255
    converter = tf.lite.TFLiteConverter.from_keras_model(_over_pixels(model))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _one_by_one(images, np.float32)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    # Dense layers get one scale, not one a channel, of which TensorFlow Lite Micro before October
    # 2024 took the first for all (tflite-micro#2602). The accuracy is the same within 0.1 points
    # (baseline, edge_s, ResNet-8; 10,000 images).
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return _convert(converter)


def static_w8a16(model: Any, images: NDArray[np.uint8]) -> bytes:
    """As `static_w8a8`, with int16 activations; bytes are cast and quantized in the graph."""
    converter = tf.lite.TFLiteConverter.from_keras_model(_from_uint8(model))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _one_by_one(images, np.uint8)
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
        tf.lite.OpsSet.TFLITE_BUILTINS,  # for the cast of the image
    ]
    return _convert(converter)


def qat_w8a8(quantized: Any) -> bytes:
    """A quantization-aware model as it was trained: it brings all its ranges.

    Args:
        quantized: from `export.quantization.qat.finished`, float32 in [0, 255] to logits.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(quantized)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.uint8
    return _convert(converter)


def _from_uint8(model: Any) -> Any:
    """The model with a cast in front, so that it takes uint8."""
    image = keras.Input(model.input_shape[1:], dtype=tf.uint8, name="image")
    return keras.Model(image, _over_pixels(model)(tf.cast(image, tf.float32)))


def _over_pixels(model: Any) -> Any:
    """A copy that takes pixel values, rewritten for XNNPACK: the scale goes into the weights."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    first = next((layer for layer in copy.layers if layer.weights), None)
    if not isinstance(first, keras.layers.Conv2D):
        raise ExportError("the model must begin with a convolution")
    kernel, *rest = first.get_weights()
    first.set_weights([kernel * np.float32(PIXEL_SCALE), *rest])
    return optimize_for_xnnpack(copy)


def _one_by_one(images: NDArray[np.uint8], dtype: Any) -> Iterator[list[NDArray[Any]]]:
    for image in images:
        yield [image[None].astype(dtype)]


def _convert(converter: Any) -> bytes:
    with captured_native_stderr():
        return bytes(converter.convert())
