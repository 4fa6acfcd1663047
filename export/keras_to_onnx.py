"""Keras to ONNX: tf2onnx translates, our passes clean up what a device should not compute."""

from typing import Any

import onnx

from export.passes import (
    fold_flatten,
    fold_input_scale,
    matmul_to_gemm,
    readable_names,
    reshape_to_flatten,
)
from tinysight.console import native_stderr_held_back
from training.keras import keras, tf

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
    shape = (None, *model.input_shape[1:])
    # A functional wrapper names the output; the layers keep their names and weights.
    named = keras.Model(model.input, model.output, name=model.name)
    named.output_names = ["logits"]
    import tf2onnx  # here: it imports TensorFlow, which training.keras must set up first

    with native_stderr_held_back():
        raw, _ = tf2onnx.convert.from_keras(
            named,
            input_signature=[tf.TensorSpec(shape, tf.float32, name="image")],
            opset=OPSET,
        )
    clean = fold_flatten(reshape_to_flatten(matmul_to_gemm(raw)))
    return readable_names(fold_input_scale(clean, PIXEL_SCALE))
