"""Graph passes: each a small pure function, ONNX model in, equivalent ONNX model out."""

from export.passes.dense import fold_flatten, matmul_to_gemm, reshape_to_flatten
from export.passes.graph import ExportError, Graph
from export.passes.image_input import fold_input_scale, take_quantized, take_uint8
from export.passes.logits import float_logits
from export.passes.names import readable_names

__all__ = [
    "ExportError",
    "Graph",
    "float_logits",
    "fold_flatten",
    "fold_input_scale",
    "matmul_to_gemm",
    "readable_names",
    "reshape_to_flatten",
    "take_quantized",
    "take_uint8",
]
