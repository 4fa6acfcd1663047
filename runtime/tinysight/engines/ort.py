"""The one place that makes an onnxruntime session, and checks that the model keeps the contract."""

import numpy as np
from numpy.typing import NDArray

from tinysight.bundle import Artifact, Bundle
from tinysight.errors import BundleError
from tinysight.preprocess import Pixels


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
        import onnxruntime  # late: it costs more than all other imports, and --help needs none

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; a warning about an old opset helps no user
        try:
            self.onnx = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            raise BundleError(
                f"onnxruntime cannot load it: {str(error).splitlines()[0]}"
            ) from error
        values = (*self.onnx.get_inputs(), *self.onnx.get_outputs())
        found = [(value.type, value.shape[1:]) for value in values]
        wanted = [("tensor(uint8)", [*shape, 3]), ("tensor(float)", [classes])]
        if found != wanted:
            raise BundleError(f"it takes and gives {found}, not {wanted}")
        self._input = values[0].name
        self._outputs = [values[1].name]

    @classmethod
    def open(cls, bundle: Bundle, artifact: Artifact, threads: int = 1) -> "OnnxRuntimeEngine":
        """Loads an artifact after its size and hash were checked. Raises BundleError."""
        if artifact.format != "onnx":
            raise BundleError(f"{bundle.name}: {artifact.name} is not an ONNX artifact")
        content = bundle.read(artifact)
        try:
            return cls(content, (bundle.height, bundle.width), len(bundle.labels), threads)
        except BundleError as error:
            raise BundleError(f"{bundle.name}: {artifact.file}: {error}") from error

    def run(self, images: Pixels) -> NDArray[np.float32]:
        """The logits, float32 (n, classes), of uint8 images (n, height, width, 3)."""
        logits: NDArray[np.float32] = self.onnx.run(self._outputs, {self._input: images})[0]
        return logits
