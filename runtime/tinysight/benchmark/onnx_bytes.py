"""ONNX models of one node, as bytes, since the package `onnx` is not on a device.

The numbers of the fields are those of onnx.proto3: ModelProto, GraphProto, NodeProto,
ValueInfoProto, TypeProto.
"""

from collections.abc import Sequence


def identity_model() -> bytes:
    """An ONNX model of one Identity node on uint8 images."""
    return _model("Identity", ("image",), "same", _type(_UINT8, 4))


def matmul_model() -> bytes:
    """An ONNX model of one MatMul node on two float32 matrices."""
    return _model("MatMul", ("a", "b"), "product", _type(_FLOAT, 2))


_FLOAT, _UINT8 = 1, 2
"""TensorProto.DataType."""


def _model(operator: str, inputs: Sequence[str], output: str, type_: bytes) -> bytes:
    """All of its inputs, and its output, are of one type."""
    node = b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, operator)
    graph = _field(1, node) + _text(2, "graph")
    graph += b"".join(_field(11, _text(1, name) + type_) for name in inputs)
    graph += _field(12, _text(1, output) + type_)
    opset = _field(8, _text(1, "") + b"\x10\x0d")  # version 13
    return b"\x08\x08" + _field(7, graph) + opset  # IR version 8


def _type(element: int, dimensions: int) -> bytes:
    """A tensor of so many dimensions, of whose sizes nothing is said."""
    shape = dimensions * _field(1, b"")
    return _field(2, _field(1, bytes([8, element]) + _field(2, shape)))


def _field(number: int, content: bytes) -> bytes:
    """A field of the wire type 2; all here are shorter than 128 bytes, so a length is one byte."""
    return bytes([number << 3 | 2, len(content)]) + content


def _text(number: int, words: str) -> bytes:
    return _field(number, words.encode())
