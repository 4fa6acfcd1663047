"""The cost of the call itself: a graph that does nothing, which no model here can beat."""

from collections.abc import Callable

import numpy as np

from tinysight.preprocess import Pixels


def empty_graph() -> bytes:
    """An ONNX model of one Identity node on uint8 images, written by hand: `onnx` is not here.

    The numbers of the fields are those of onnx.proto3 (ModelProto, GraphProto, NodeProto,
    ValueInfoProto).
    """
    node = _text(1, "image") + _text(2, "same") + _text(4, "Identity")
    graph = (
        _field(1, node)
        + _text(2, "empty")
        + _field(11, _text(1, "image") + _UINT8)
        + _field(12, _text(1, "same") + _UINT8)
    )
    opset = _field(8, _text(1, "") + b"\x10\x0d")  # version 13
    return b"\x08\x08" + _field(7, graph) + opset  # IR version 8


def empty_call(image: Pixels, threads: int = 1) -> Callable[[], object]:
    """Runs the empty graph on an image, with the settings that models are run with."""
    import onnxruntime  # late, as in tinysight.session

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        empty_graph(), options, providers=["CPUExecutionProvider"]
    )
    feed = {"image": np.ascontiguousarray(image)}
    return lambda: session.run(["same"], feed)


def _field(number: int, content: bytes) -> bytes:
    """A field of the wire type 2; all here are shorter than 128 bytes, so a length is one byte."""
    return bytes([number << 3 | 2, len(content)]) + content


def _text(number: int, words: str) -> bytes:
    return _field(number, words.encode())


_SHAPE = 4 * _field(1, b"")
"""TensorShapeProto: four dimensions, of which nothing is said."""
_UINT8 = _field(2, _field(1, b"\x08\x02" + _field(2, _SHAPE)))
"""TypeProto of a uint8 tensor of that shape."""
