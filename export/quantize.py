"""Static int8 quantization for ONNX, by onnxruntime's own quantizer."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from export.passes import Graph, float_logits, take_quantized

_BATCH = 64


class _Images(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Hands the calibration images to the quantizer, batch by batch, once."""

    def __init__(self, name: str, images: NDArray[np.uint8]) -> None:
        # Whole batches only: some of the calibrators fail on a ragged last one.
        whole = max(len(images) // _BATCH * _BATCH, min(len(images), _BATCH))
        self._feeds: Iterator[dict[str, NDArray[np.float32]]] = iter(
            {name: images[start : start + _BATCH].astype(np.float32)}
            for start in range(0, whole, _BATCH)
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._feeds, None)


def static_w8a8(model: onnx.ModelProto, calibration: NDArray[np.uint8]) -> onnx.ModelProto:
    """Quantizes a float32 graph over pixels to 8-bit weights and activations.

    Weights are signed, per channel; activations unsigned, per tensor, with ranges from the
    smallest and largest value seen: what x86 runs quickest. The uint8 pixels are taken as the
    quantized input that they are, and the logits leave as float32.

    Args:
        model: from `keras_to_onnx`.
        calibration: uint8 (n, h, w, 3), training images only.
    """
    image = Graph(model).inputs[0]
    transpose = Graph(model).only_consumer(image, "Transpose")
    pixels = image if transpose is None else transpose.output[0]
    # Scale 1 and zero point 0, so that a pixel is its own quantized form.
    byte_range = {pixels: [{"rmin": np.float32(0), "rmax": np.float32(255)}]}
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        logging.disable(logging.WARNING)  # it asks for a clean-up that our passes have done
        try:
            quantize_static(
                source,
                target,
                _Images(image, calibration),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"TensorQuantOverrides": byte_range},
            )
        finally:
            logging.disable(logging.NOTSET)
        quantized = onnx.load(target)
    return float_logits(take_quantized(quantized))
