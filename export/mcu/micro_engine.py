"""TensorFlow Lite Micro itself, on this machine: the package `tflite-micro` (extra `mcu`).

It is the interpreter and the reference kernels that a firmware links, compiled for x86-64.
"""

import re

import numpy as np
from numpy.typing import NDArray
from tflite_micro.python.tflite_micro import runtime

from export.errors import ExportError
from export.mcu.integer_model import ALIGNMENT, IntegerModel
from tinysight.console import captured_native_stderr
from tinysight.preprocess import Pixels

_PLENTY_BYTES = 1 << 26
"""An arena in which whatever a microcontroller could run fits."""
_USED = re.compile(rb"Arena allocation total (\d+) bytes")


class MicroEngine:
    """A model in TensorFlow Lite Micro: uint8 (n, height, width, 3) to float32 (n, classes)."""

    def __init__(self, model: IntegerModel, arena_bytes: int) -> None:
        """Loads it. Raises ExportError where it cannot be run in such an arena."""
        self._model = model
        try:
            with captured_native_stderr():
                self._interpreter = _open(model, arena_bytes)
        except RuntimeError as error:
            raise ExportError(
                f"TensorFlow Lite Micro cannot run it in {arena_bytes:,} bytes: {error}"
            ) from error

    def outputs(self, images: Pixels) -> NDArray[np.int8]:
        """The int8 outputs (n, classes), as a microcontroller sees them."""
        outputs = np.empty((len(images), self._model.classes), np.int8)
        for image, output in zip(to_int8(images), outputs, strict=True):
            self._interpreter.set_input(image[None], 0)
            self._interpreter.invoke()
            output[:] = self._interpreter.get_output(0)[0]
        return outputs

    def run(self, images: Pixels) -> NDArray[np.float32]:
        """The logits."""
        return self._model.logits(self.outputs(images))

    def print_allocations(self) -> None:
        """Writes to the process's stderr what the arena is used for; after a run."""
        self._interpreter.print_allocations()


def to_int8(images: Pixels) -> NDArray[np.int8]:
    """Pixels - 128: the same bits but for the highest."""
    return np.asarray(images ^ np.uint8(128)).view(np.int8)


def find_arena_bytes(model: IntegerModel) -> int:
    """The smallest arena, in bytes, a multiple of 16, in which the model runs here.

    Pointers have 8 bytes here and 4 on a microcontroller: there somewhat less is needed.

    Raises:
        ExportError: TensorFlow Lite Micro does not run it at all.
    """
    enough = -(-_used_bytes(model) // ALIGNMENT) * ALIGNMENT
    # Upwards from what is used in the end: planning the memory takes some, too. Much smaller
    # arenas are not tried: with them, TensorFlow Lite Micro's kernels crash the process.
    with captured_native_stderr():  # it writes a line for each arena that is too small
        while not _fits(model, enough):
            enough += ALIGNMENT
    MicroEngine(model, enough).run(np.zeros((1, *model.input_shape), np.uint8))
    return enough


def _used_bytes(model: IntegerModel) -> int:
    """What the model uses of a large arena, by TensorFlow Lite Micro's own account."""
    engine = MicroEngine(model, _PLENTY_BYTES)
    with captured_native_stderr() as written:
        engine.run(np.zeros((1, *model.input_shape), np.uint8))
        engine.print_allocations()
        written.seek(0)
        found = _USED.search(written.read())
    if found is None:
        raise ExportError("TensorFlow Lite Micro does not say what memory it uses")
    return int(found[1])


def _fits(model: IntegerModel, arena_bytes: int) -> bool:
    try:
        _open(model, arena_bytes)
    except RuntimeError:
        return False
    return True


def _open(model: IntegerModel, arena_bytes: int) -> runtime.Interpreter:
    return runtime.Interpreter.from_bytes(model.content, arena_size=arena_bytes)
