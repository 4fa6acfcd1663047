"""Does onnxruntime compute a quantized graph in integers?"""

import tempfile
from collections import Counter
from pathlib import Path

import onnx

from export.passes import ExportError

_IN_FLOAT = {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"}


def optimized_operators(content: bytes) -> Counter[str]:
    """How often each operator stands in what onnxruntime makes of a model on this CPU."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # it warns that the graph is only good for this CPU
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        graph = onnx.load(options.optimized_model_filepath).graph
    return Counter(node.op_type for node in graph.node)


def require_fused(content: bytes, what: str) -> None:
    """Raises ExportError where a convolution or dense layer is still computed in float.

    onnxruntime fuses a layer with the DequantizeLinear in front and the QuantizeLinear behind only
    where they stand as it expects them; elsewhere it computes in float32, slower than float32.
    """
    left = {name: n for name, n in optimized_operators(content).items() if name in _IN_FLOAT}
    if left:
        found = ", ".join(f"{n} {name}" for name, n in left.items())
        raise ExportError(f"{what}: onnxruntime still computes in float: {found}")
