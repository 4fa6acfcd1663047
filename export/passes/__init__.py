"""Graph passes: each a small pure function, ONNX model in, equivalent ONNX model out."""

from export.passes.dense import fold_flatten, matmul_to_gemm, reshape_to_flatten
from export.passes.float_islands import hold_in_float
from export.passes.float_twin import float_twin
from export.passes.graph import ExportError, Graph
from export.passes.image_input import fold_input_scale, take_quantized, take_uint8
from export.passes.logits import float_logits
from export.passes.names import readable_names
from export.passes.seven_bits import seven_bits
from export.passes.trained_grid import dequantize_late, drop_requantization, quantize_weights

__all__ = [
    "ExportError",
    "Graph",
    "dequantize_late",
    "drop_requantization",
    "float_logits",
    "float_twin",
    "fold_flatten",
    "fold_input_scale",
    "hold_in_float",
    "matmul_to_gemm",
    "quantize_weights",
    "readable_names",
    "reshape_to_flatten",
    "seven_bits",
    "take_quantized",
    "take_uint8",
]
