"""Graph passes: each a small pure function, ONNX model in, equivalent ONNX model out."""

from export.errors import ExportError
from export.passes.float_output import float_output
from export.passes.gemm import fold_flatten, matmul_to_gemm, reshape_to_flatten
from export.passes.graph import Graph
from export.passes.keep_float import keep_float
from export.passes.names import readable_names
from export.passes.pool_gemm import pool_into_gemm
from export.passes.qdq_cleanup import fold_dequantize_quantize, quantize_weights, sink_dequantize
from export.passes.reduce_range import reduce_range
from export.passes.strip_quantization import strip_quantization
from export.passes.uint8_input import elide_input_quantize, fold_input_scale, uint8_input

__all__ = [
    "ExportError",
    "Graph",
    "elide_input_quantize",
    "float_output",
    "fold_dequantize_quantize",
    "fold_flatten",
    "fold_input_scale",
    "keep_float",
    "matmul_to_gemm",
    "pool_into_gemm",
    "quantize_weights",
    "readable_names",
    "reduce_range",
    "reshape_to_flatten",
    "sink_dequantize",
    "strip_quantization",
    "uint8_input",
]
