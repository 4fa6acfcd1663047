"""Quantization-aware training: a Keras model that computes as its int8 artifact will.

tensorflow-model-optimization rounds weights (int8, per channel; per tensor in dense layers) and
activations (8 bits, per tensor) in every forward pass, and treats a batch normalization as part of
the convolution before it, which it becomes at conversion.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.formats.onnx import PIXEL_SCALE
from training.tf_keras_setup import keras

_BATCH = 128


def quantization_aware(model: Any) -> Any:
    """The quantization-aware form of a model, with its weights; its ranges are not set yet.

    Raises ExportError for a model that tensorflow-model-optimization cannot quantize.
    """
    import tensorflow_model_optimization as tfmot  # late: two seconds

    keras.backend.reset_uids()  # so that its own layers have the same names every time
    try:
        quantized = tfmot.quantization.keras.quantize_model(model)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ExportError(f"quantization-aware training cannot take this model: {reason}") from None
    return quantized


def seed_ranges(quantized: Any, model: Any, images: NDArray[np.uint8]) -> None:
    """Gives every activation the range that it has in the trained model.

    tensorflow-model-optimization starts them all at -6 to 6 and moves them by a thousandth in each
    step: a short training would end with most of them still wrong.

    Args:
        quantized: from `quantization_aware`; changed in place.
        model: what it was made of.
        images: uint8 (n, h, w, 3), training images only.
    """
    _set_input_range(quantized, 1.0)
    ranged = {
        layer.name.removeprefix("quant_"): layer
        for layer in quantized.layers
        if {"post_activation_max", "output_max"} & {_role(weight) for weight in layer.weights}
    }
    seen = keras.Model(model.input, [model.get_layer(name).output for name in ranged])
    lows, highs = [], []
    for start in range(0, len(images), _BATCH):
        values = seen(images[start : start + _BATCH].astype(np.float32) * PIXEL_SCALE)
        values = values if isinstance(values, list) else [values]
        lows.append([float(np.min(value)) for value in values])
        highs.append([float(np.max(value)) for value in values])
    for layer, low, high in zip(ranged.values(), np.min(lows, 0), np.max(highs, 0), strict=True):
        for what in ("post_activation", "output"):
            # A range must hold zero, which padding and ReLU make.
            _set_range(layer.weights, what, min(low, 0.0), max(high, 0.0))


def sync_weight_ranges(quantized: Any) -> None:
    """Makes the weights' ranges those of the weights, which the last step has moved once more."""
    for layer, kernel in _kernels(quantized):
        per_channel = isinstance(layer.layer, keras.layers.Conv2D)
        axes = tuple(range(kernel.ndim - 1)) if per_channel else None
        largest = np.abs(kernel).max(axis=axes)
        _set_range(layer.weights, "kernel", -largest, largest)


def finished(quantized: Any) -> Any:
    """The trained model as it is converted: it takes pixels, 0 to 255, and not 0 to 1.

    The scale goes into the first convolution. Its kernel and the kernel's range shrink together, so
    the same integers come out of both; and a pixel is then its own quantized form.
    """
    layer, kernel = next(_kernels(quantized))
    if not isinstance(layer.layer, keras.layers.Conv2D):
        raise ExportError("the model must begin with a convolution")
    variable = next(weight for weight in layer.weights if _role(weight) == "kernel")
    variable.assign(kernel * np.float32(PIXEL_SCALE))
    sync_weight_ranges(quantized)
    _set_input_range(quantized, 255.0)
    return quantized


def _kernels(quantized: Any) -> Iterator[tuple[Any, NDArray[np.float32]]]:
    """The wrapped layers that have a quantized kernel, and its values."""
    for layer in quantized.layers:
        roles = {_role(weight): weight for weight in layer.weights}
        if "kernel_max" in roles:
            yield layer, np.asarray(roles["kernel"])


def _set_input_range(quantized: Any, white: float) -> None:
    """The pixels' range is not measured: it is from black to white, whatever images show."""
    layer = next(layer for layer in quantized.layers if type(layer).__name__ == "QuantizeLayer")
    _set_range(layer.weights, layer.name, 0.0, white)


def _role(weight: Any) -> str:
    """`kernel`, `kernel_min`, `post_activation_max`, …"""
    return str(weight.name).split("/")[-1].split(":")[0]


def _set_range(weights: Any, what: str, low: Any, high: Any) -> None:
    """Sets the two ends of a range, where the layer has it."""
    for weight in weights:
        if _role(weight) == f"{what}_min":
            weight.assign(low)
        elif _role(weight) == f"{what}_max":
            weight.assign(high)
