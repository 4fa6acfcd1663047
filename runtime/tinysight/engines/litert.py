"""LiteRT: the engine of .tflite artifacts.

Optional (`pip install 'tinysight[litert]'`). Its int8 kernels, XNNPACK's, overtake onnxruntime's
on many CPUs; `tinysight tune` finds out whether on this one.
"""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.console import captured_native_stderr
from tinysight.errors import BundleError, MissingExtraError, first_line
from tinysight.preprocess import Pixels

# Scale and zero point of the input: a byte is its own quantized form; or the input is not
# quantized but cast inside, which LiteRT reports as a scale of 0.
_PLAIN = ((1.0, 0), (0.0, 0))


class LiteRTEngine:
    """A .tflite model, loaded: uint8 (n, height, width, 3) to float32 (n, classes).

    Safe to use from several threads at once: an interpreter serves one, so each thread gets its
    own when it first asks.
    """

    def __init__(
        self, content: bytes, shape: tuple[int, int], classes: int, threads: int = 1
    ) -> None:
        """Loads a model's bytes.

        Args:
            content: the .tflite file.
            shape: height and width of its input.
            classes: the number of its logits.
            threads: how many cores one call may use.

        Raises:
            BundleError: LiteRT cannot load it, or it takes or gives something else.
            MissingExtraError: LiteRT is not installed.
        """
        self._content, self._threads = content, threads
        self._local = threading.local()
        try:
            with captured_native_stderr():  # it logs at the first interpreter of every process
                interpreter = self._local.interpreter = self._new()
        except ImportError:
            raise MissingExtraError(
                "LiteRT is not installed: pip install 'tinysight[litert]' brings it"
            ) from None
        except (ValueError, RuntimeError) as error:
            raise BundleError(f"LiteRT cannot load it: {first_line(error)}") from error
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        actual = [(np.dtype(d["dtype"]).name, tuple(d["shape"][1:])) for d in (*inputs, *outputs)]
        expected = [("uint8", (*shape, 3)), ("float32", (classes,))]
        if actual != expected:
            raise BundleError(f"it takes and gives {actual}, not {expected}")
        if inputs[0]["quantization"] not in _PLAIN:
            scale, zero = inputs[0]["quantization"]
            raise BundleError(
                f"its input is uint8 with scale {scale} and zero point {zero}, not pixels"
            )
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]
        self._batch = int(inputs[0]["shape"][0])
        self._classes = classes
        self._local.batch = self._batch

    def run(self, images: Pixels) -> NDArray[np.float32]:
        """The logits, float32 (n, classes), of uint8 images (n, height, width, 3).

        Another number of images than a thread's last call had costs a new allocation.

        Raises BundleError where the model fails, or gives another shape than it declares.
        """
        try:
            logits = self._invoke(images)
        except (ValueError, RuntimeError) as error:
            raise BundleError(f"LiteRT cannot run it: {first_line(error)}") from error
        if logits.shape != (len(images), self._classes):
            raise BundleError(f"the model gives {logits.shape} for {len(images)} images")
        return logits

    def _invoke(self, images: Pixels) -> NDArray[np.float32]:
        local = self._local
        try:
            interpreter = local.interpreter
        except AttributeError:  # the first call of this thread
            interpreter = local.interpreter = self._new()
            local.batch = self._batch
        if len(images) != local.batch:
            interpreter.resize_tensor_input(self._input, images.shape)
            interpreter.allocate_tensors()
            local.batch = len(images)
        interpreter.set_tensor(self._input, images)
        interpreter.invoke()
        logits: NDArray[np.float32] = interpreter.get_tensor(self._output)
        return logits

    def _new(self) -> Any:
        from ai_edge_litert.interpreter import Interpreter  # late: optional, and half a second

        interpreter = Interpreter(model_content=self._content, num_threads=self._threads)
        interpreter.allocate_tensors()
        return interpreter
