"""The one place that makes an onnxruntime session, and checks that the model keeps the contract."""

import numpy as np
from numpy.typing import NDArray

from tinysight.bundle import Artifact, Bundle
from tinysight.errors import BundleError
from tinysight.preprocess import Pixels


class Session:
    """An ONNX artifact, loaded: uint8 (n, height, width, 3) to float32 (n, classes).

    Safe to use from several threads at once, as onnxruntime's sessions are.
    """

    def __init__(self, bundle: Bundle, artifact: Artifact, threads: int = 1) -> None:
        """Raises BundleError when the file is damaged or does not take and give what it should."""
        import onnxruntime  # late: it costs more than all other imports, and --help needs none

        if artifact.format != "onnx":
            raise BundleError(f"{artifact.name} is not an ONNX artifact")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; a warning about an old opset helps no user
        content = bundle.read(artifact)
        try:
            self.onnx = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            first = str(error).splitlines()[0]
            raise BundleError(f"{artifact.file}: onnxruntime cannot load it: {first}") from error
        self._check(bundle, artifact)
        self._input = self.onnx.get_inputs()[0].name
        self._outputs = [self.onnx.get_outputs()[0].name]

    def run(self, images: Pixels) -> NDArray[np.float32]:
        """The logits, float32 (n, classes), of uint8 images (n, height, width, 3)."""
        logits: NDArray[np.float32] = self.onnx.run(self._outputs, {self._input: images})[0]
        return logits

    def _check(self, bundle: Bundle, artifact: Artifact) -> None:
        inputs, outputs = self.onnx.get_inputs(), self.onnx.get_outputs()
        found = [(value.type, value.shape[1:]) for value in (*inputs, *outputs)]
        wanted = [
            ("tensor(uint8)", [bundle.height, bundle.width, 3]),
            ("tensor(float)", [len(bundle.labels)]),
        ]
        if found != wanted:
            raise BundleError(f"{artifact.file}: it takes and gives {found}, not {wanted}")
