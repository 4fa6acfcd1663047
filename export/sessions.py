"""The one place of the export stage that makes onnxruntime sessions of any graph.

An artifact that keeps the runtime's contract is opened by `tinysight.engines` instead.
"""

from pathlib import Path
from typing import Any


def make_session(
    model: bytes,
    *,
    optimize: bool = True,
    optimized_model: Path | None = None,
    profile_prefix: Path | None = None,
) -> Any:
    """An onnxruntime session on one CPU thread.

    Args:
        model: an ONNX file.
        optimize: whether onnxruntime may rewrite the graph.
        optimized_model: where it writes the rewritten graph; None does not.
        profile_prefix: with what the name of its profile begins; None takes no profile.
    """
    import onnxruntime  # late: `--help` needs none

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; a warning that a graph fits only this CPU helps nobody
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if optimized_model is not None:
        options.optimized_model_filepath = str(optimized_model)
    if profile_prefix is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile_prefix)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
