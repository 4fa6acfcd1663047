"""Keras to ONNX: tf2onnx translates, our passes clean up what a device should not compute."""

from typing import Any

import onnx

from export.passes import (
    elide_input_quantize,
    float_output,
    fold_flatten,
    fold_input_scale,
    matmul_to_gemm,
    quantize_weights,
    readable_names,
    reshape_to_flatten,
    sink_dequantize,
)
from tinysight.console import captured_native_stderr
from training.tf_keras_setup import keras, tf

OPSET = 18
"""The newest that tf2onnx writes."""

PIXEL_SCALE = 1 / 255
"""Models are trained on pixels in [0, 1]."""


def keras_to_onnx(model: Any) -> onnx.ModelProto:
    """Translates a trained model to a clean float32 graph over pixel values.

    Args:
        model: a Keras model, float32 (n, h, w, 3) in [0, 1] to logits.

    Returns:
        `image`, float32 (batch, h, w, 3) in [0, 255], to `logits`, float32 (batch, classes). The
        recipes turn its input to uint8, each in its own way.

    Raises:
        ExportError: the model does not begin with a convolution.
    """
    return readable_names(fold_input_scale(_translated(model), PIXEL_SCALE))


def qat_to_onnx(model: Any) -> onnx.ModelProto:
    """Translates a quantization-aware model to an int8 graph, with the ranges of its training.

    Args:
        model: from `export.quantization.qat.finished`, float32 (n, h, w, 3) in [0, 255] to logits.

    Returns:
        `image`, uint8 (batch, h, w, 3), to `logits`, float32 (batch, classes).

    Raises:
        ExportError: its weights lie on no int8 grid, or it does not quantize the image first.
    """
    translated = _translated(model)
    for node in translated.graph.node:  # layers are called as they were before they were wrapped
        node.name = node.name.replace("/quant_", "/").replace("/quantize_layer/", "/image/")
    named = readable_names(float_output(translated))
    return quantize_weights(sink_dequantize(elide_input_quantize(named)))


def _translated(model: Any) -> onnx.ModelProto:
    """What tf2onnx makes of it, from `image` to `logits`, with plain Dense layers."""
    shape = (None, *model.input_shape[1:])
    # A functional wrapper names the output; the layers keep their names and weights.
    named = keras.Model(model.input, model.output, name=model.name)
    named.output_names = ["logits"]
    import tf2onnx  # here: it imports TensorFlow, which training.tf_keras_setup must set up first

    with captured_native_stderr():
        raw, _ = tf2onnx.convert.from_keras(
            named,
            input_signature=[tf.TensorSpec(shape, tf.float32, name="image")],
            opset=OPSET,
        )
    return fold_flatten(reshape_to_flatten(matmul_to_gemm(raw)))
