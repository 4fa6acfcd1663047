"""Quantization after training for ONNX, by onnxruntime's own quantizer."""

import contextlib
import io
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    create_calibrator,
    quantize_dynamic,
    quantize_static,
    save_tensors_data,
)
from onnxruntime.quantization.calibrate import TensorsData

from export.passes import (
    Graph,
    elide_input_quantize,
    float_output,
    fold_dequantize_quantize,
    keep_float,
    pool_into_gemm,
    sink_dequantize,
    uint8_input,
)
from export.quantization.first_layer import first_layer, fit_first_layer
from export.recipes import Calibration

_BATCH = 64
_METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
# Half of the levels are for negative values, whatever the tensor: 512 are the 256 of a ReLU. Twice
# as many bins; onnxruntime has 128 of both by default, and then always takes the whole range.
_ENTROPY = {"num_bins": 1024, "num_quantized_bins": 512}


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


def find_ranges(
    model: onnx.ModelProto, images: NDArray[np.uint8], calibration: Calibration = "minmax"
) -> TensorsData:
    """The range of every activation of a float32 graph over pixels, onnxruntime's own type.

    Args:
        model: from `keras_to_onnx`.
        images: uint8 (n, h, w, 3) to calibrate on, training images only.
        calibration: how a range follows from the values seen.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        source = Path(folder) / "float.onnx"
        onnx.save(model, source)
        calibrator = create_calibrator(
            source,
            augmented_model_path=str(Path(folder) / "watched.onnx"),
            calibrate_method=_METHODS[calibration],
            extra_options=_ENTROPY if calibration == "entropy" else {},
        )
        calibrator.collect_data(_Images(Graph(model).inputs[0], images))
        return calibrator.compute_data()


def static_w8a8(
    model: onnx.ModelProto, images: NDArray[np.uint8], calibration: Calibration = "minmax"
) -> onnx.ModelProto:
    """Quantizes a float32 graph over pixels to 8-bit weights and activations.

    Weights are signed, per channel; activations unsigned, per tensor: what x86 runs fastest. The
    uint8 pixels are taken as the quantized input that they are, and the logits leave as float32.

    The arguments are those of `find_ranges`.
    """
    return w8a8(model, find_ranges(model, images, calibration), images)


def w8a8(
    model: onnx.ModelProto,
    ranges: TensorsData,
    images: NDArray[np.uint8],
    *,
    float_layers: Sequence[str] = (),
) -> onnx.ModelProto:
    """What `static_w8a8` does once the ranges are known.

    Args:
        model: from `keras_to_onnx`.
        ranges: of its activations, from `find_ranges`.
        images: those that the ranges are from.
        float_layers: names of the layers that stay in float32: see `quantizable`.
    """
    quantized = _static(model, ranges, QuantType.QUInt8, float_layers)
    reader = Graph(quantized).consumers(_pixels(quantized))[0]
    # A first layer that stays in float32 takes no quantized image.
    take = elide_input_quantize if reader.op_type == "QuantizeLinear" else uint8_input
    clean = pool_into_gemm(fold_dequantize_quantize(sink_dequantize(float_output(take(quantized)))))
    if float_layers:
        clean = keep_float(clean, float_layers)
    first = first_layer(model)
    return fit_first_layer(clean, images, Graph(model).constant(first.input[1]))


def w8a16(model: onnx.ModelProto, ranges: TensorsData) -> onnx.ModelProto:
    """As `w8a8`, with unsigned 16-bit activations.

    onnxruntime's CPU kernels compute such convolutions in float32, so here it is slower than
    float32; it is for devices that have the arithmetic, and shows what 8-bit activations cost.
    """
    return float_output(uint8_input(_static(model, ranges, QuantType.QUInt16, ())))


def dynamic_w8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Stores weights in 8 bits, one scale a layer; activations get their ranges in every call.

    Args:
        model: from `keras_to_onnx`.
    """

    def quantize(source: Path, target: Path) -> None:
        # Unsigned: onnxruntime has no ConvInteger of unsigned activations and signed weights.
        quantize_dynamic(source, target, weight_type=QuantType.QUInt8)

    return uint8_input(_in_files(model, quantize))


def _static(
    model: onnx.ModelProto, ranges: TensorsData, activations: QuantType, float_layers: Sequence[str]
) -> onnx.ModelProto:
    # Of 8 bits, scale 1 and zero point 0, so that a pixel is its own quantized form.
    byte_range = {_pixels(model): [{"rmin": np.float32(0), "rmax": np.float32(255)}]}

    def quantize(source: Path, target: Path) -> None:
        found = source.with_suffix(".json")
        save_tensors_data(ranges, found)
        quantize_static(
            source,
            target,
            None,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=activations,
            weight_type=QuantType.QInt8,
            calibrate_method=ranges.calibration_method,
            calibration_cache_path=found,
            nodes_to_exclude=list(float_layers),
            extra_options={"TensorQuantOverrides": byte_range},
        )

    return _in_files(model, quantize)


def _pixels(model: onnx.ModelProto) -> str:
    """The tensor of pixels, in the layout that the first layer reads."""
    graph = Graph(model)
    transpose = graph.only_consumer(graph.inputs[0], "Transpose")
    return graph.inputs[0] if transpose is None else str(transpose.output[0])


def _in_files(model: onnx.ModelProto, quantize: Callable[[Path, Path], None]) -> onnx.ModelProto:
    """Runs a quantizer that goes from file to file, and keeps its advice to itself."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "quantized.onnx"
        onnx.save(model, source)
        logging.disable(logging.WARNING)  # it asks for a clean-up that our passes have done
        try:
            quantize(source, target)
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(target)
