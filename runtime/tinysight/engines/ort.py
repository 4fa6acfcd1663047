"""onnxruntime: the one function that makes its sessions, and the engine of ONNX artifacts."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinysight.errors import BundleError, first_line
from tinysight.preprocess import Pixels

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def make_session(
    model: bytes,
    threads: int = 1,
    *,
    optimize: bool = True,
    optimized_file: Path | None = None,
    profile_prefix: Path | None = None,
) -> "InferenceSession":
    """A session on the CPU, with the settings that every model of this project is run with.

    Args:
        model: the .onnx file.
        threads: how many cores one call may use.
        optimize: False runs the graph as it is written, without any of onnxruntime's fusions.
        optimized_file: where to write the graph that onnxruntime made of it.
        profile_prefix: how the path of a profile begins, which `session.end_profiling()` writes.

    Raises one of onnxruntime's exceptions, which share no base but Exception, for what is no model.
    """
    import onnxruntime  # late: it costs more than all other imports, and --help needs none

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Errors alone: that an opset is old, or that an optimized graph is of this CPU, helps no user.
    options.log_severity_level = 3
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if optimized_file is not None:
        options.optimized_model_filepath = str(optimized_file)
    if profile_prefix is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile_prefix)
    # Its fallback prints a banner to stdout, then tries the same provider once more.
    return onnxruntime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"], enable_fallback=0
    )


class OnnxRuntimeEngine:
    """An ONNX model, loaded: uint8 (n, height, width, 3) to float32 (n, classes).

    Safe to use from several threads at once, as onnxruntime's sessions are.
    """

    def __init__(
        self, content: bytes, shape: tuple[int, int], classes: int, threads: int = 1
    ) -> None:
        """Loads a model's bytes.

        Args:
            content: the .onnx file.
            shape: height and width of its input.
            classes: the number of its logits.
            threads: how many cores one call may use.

        Raises:
            BundleError: onnxruntime cannot load it, or it takes or gives something else.
        """
        try:
            self.session = make_session(content, threads)
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            raise BundleError(f"onnxruntime cannot load it: {first_line(error)}") from error
        values = (*self.session.get_inputs(), *self.session.get_outputs())
        actual = [(value.type, value.shape[1:]) for value in values]
        expected = [("tensor(uint8)", [*shape, 3]), ("tensor(float)", [classes])]
        if actual != expected:
            raise BundleError(f"it takes and gives {actual}, not {expected}")
        self._input = values[0].name
        self._outputs = [values[1].name]
        self._classes = classes

    def run(self, images: Pixels) -> NDArray[np.float32]:
        """The logits, float32 (n, classes), of uint8 images (n, height, width, 3).

        Raises BundleError where the model fails, or gives another shape than it declares.
        """
        try:
            logits: NDArray[np.float32] = self.session.run(self._outputs, {self._input: images})[0]
        except Exception as error:  # as above
            raise BundleError(f"onnxruntime cannot run it: {first_line(error)}") from error
        if logits.shape != (len(images), self._classes):
            raise BundleError(f"the model gives {logits.shape} for {len(images)} images")
        return logits
