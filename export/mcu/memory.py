"""What an artifact takes of a microcontroller's memories."""

import importlib.util

from export.errors import ExportError
from export.mcu.integer_model import integer_model
from tinysight.bundle import MicrocontrollerMemory


def measure_memory(content: bytes) -> MicrocontrollerMemory | None:
    """Flash and arena of a .tflite artifact; None where it cannot be said.

    That is where tflite-micro is not installed, or the artifact does not compute in int8.
    """
    if importlib.util.find_spec("tflite_micro") is None:
        return None
    from export.mcu.micro_engine import find_arena_bytes

    try:
        model = integer_model(content)
        return MicrocontrollerMemory(len(model.content), find_arena_bytes(model))
    except ExportError:
        return None
