"""ONNX in half precision."""

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

from export.passes import Graph, uint8_input


def float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Stores and computes in float16, from uint8 pixels to float32 logits: half of float32's size.

    A CPU whose onnxruntime has no float16 kernel (x86) casts and computes in float32: no faster
    than float32, and a little slower to load.

    Args:
        model: from `keras_to_onnx`.
    """
    half = convert_float_to_float16(uint8_input(model), keep_io_types=True)
    return Graph(half).finished()
