"""Does onnxruntime compute a quantized graph in integers?"""

import tempfile
from collections import Counter
from pathlib import Path

import onnx

from export.errors import ExportError
from tinysight.engines.ort import make_session

_FLOAT_LAYERS = {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"}


def optimized_operators(content: bytes) -> Counter[str]:
    """How often each operator occurs in what onnxruntime makes of a model on this CPU."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "optimized.onnx"
        make_session(content, optimized_file=file)
        graph = onnx.load(file).graph
    return Counter(node.op_type for node in graph.node)


def require_fused(content: bytes, name: str) -> None:
    """Raises ExportError where a convolution or dense layer is still computed in float.

    onnxruntime fuses a layer with the DequantizeLinear in front and the QuantizeLinear behind only
    where they stand as it expects them; elsewhere it computes in float32, slower than float32.
    """
    operators = optimized_operators(content)
    left = [f"{n} {operator}" for operator, n in operators.items() if operator in _FLOAT_LAYERS]
    if left:
        found = ", ".join(left)
        raise ExportError(f"{name}: onnxruntime still computes in float: {found}")
