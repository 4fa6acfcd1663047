"""Graph passes: each a small pure function, ONNX model in, equivalent ONNX model out."""

from export.passes.float_output import float_logits
from export.passes.gemm import fold_flatten, matmul_to_gemm, reshape_to_flatten
from export.passes.graph import ExportError, Graph
from export.passes.keep_float import hold_in_float
from export.passes.names import readable_names
from export.passes.qdq_cleanup import dequantize_late, drop_requantization, quantize_weights
from export.passes.reduce_range import seven_bits
from export.passes.strip_quantization import float_twin
from export.passes.uint8_input import fold_input_scale, take_quantized, take_uint8

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
