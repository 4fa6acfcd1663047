"""Runs a .tflite artifact through LiteRT, with the same two lines of use as `tinysight.Session`."""

import numpy as np
from numpy.typing import NDArray

from export.passes.graph import ExportError
from tinysight.console import native_stderr_held_back


class LiteRT:
    """A .tflite model, loaded: uint8 (n, h, w, 3) to float32 (n, classes). For one thread."""

    def __init__(self, content: bytes, threads: int = 1) -> None:
        """Raises ExportError when the model does not take bytes as they are."""
        from ai_edge_litert.interpreter import Interpreter

        with native_stderr_held_back():
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
        (entry,) = self._interpreter.get_input_details()
        (answer,) = self._interpreter.get_output_details()
        # An unquantized uint8 input, which is cast inside, carries the scale 0.
        if entry["dtype"] != np.uint8 or entry["quantization"] not in ((1.0, 0), (0.0, 0)):
            raise ExportError(
                f"the input is {np.dtype(entry['dtype'])} with scale and zero point "
                f"{entry['quantization']}, not plain uint8"
            )
        self._input, self._output = entry["index"], answer["index"]
        self._shape = tuple(entry["shape"])

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The logits of uint8 images; another batch size than last time costs a new allocation."""
        if images.shape != self._shape:
            self._interpreter.resize_tensor_input(self._input, images.shape)
            self._interpreter.allocate_tensors()
            self._shape = images.shape
        self._interpreter.set_tensor(self._input, images)
        self._interpreter.invoke()
        logits: NDArray[np.float32] = self._interpreter.get_tensor(self._output)
        return logits
