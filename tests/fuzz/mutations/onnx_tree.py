"""Changes to the fields of an ONNX file, whose lengths stay right."""

import copy
import struct
from dataclasses import dataclass, field
from random import Random

from tests.fuzz.mutations.plain import FLOATS, INTEGERS, TEXTS

_MESSAGES = {
    "model": {7: "graph", 8: "leaf", 14: "leaf"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph"},
    "tensor": {},
    "value": {2: "type"},
    "type": {1: "tensor_type"},
    "tensor_type": {2: "shape"},
    "shape": {1: "leaf"},
    "leaf": {},
}
"""By type of message, the types of those inside it, by field."""
_NAMES = (
    "Loop", "If", "Scan", "Conv", "Relu", "Reshape", "Expand", "ConstantOfShape", "Tile", "Resize",
    "MaxPool", "Gemm", "MatMul", "Flatten", "Transpose", "Pad", "Concat", "Squeeze", "QLinearConv",
)  # fmt: skip


@dataclass
class Field:
    """A field, decoded: a message's content is its fields."""

    number: int
    wire: int
    value: "int | bytes | list[Field]"
    inner: str = ""


@dataclass
class _Cursor:
    data: bytes
    at: int = 0
    fields: list[Field] = field(default_factory=list)


def change_onnx(content: bytes, random: Random) -> bytes:
    """One to three fields changed, taken away, repeated, moved or added."""
    fields = parse(content, "model")
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        lists = _lists(fields)
        inside = random.choice([one for one in lists if one] or [fields])
        at = random.randrange(len(inside)) if inside else 0
        kind = random.randrange(8)
        if kind == 0 and inside:
            del inside[at]
        elif kind == 1 and inside:
            inside[at:at] = [inside[at]] * random.choice((1, 1, 2, 3000))
        elif kind == 2 and inside:
            other = random.choice([one for one in lists if one])
            inside.append(copy.deepcopy(random.choice(other)))  # a copy: else it may hold itself
        elif kind == 3:
            inside.append(_new(random))
        elif inside:
            _change(inside[at], random)
    return serialize(fields)


def parse(data: bytes, kind: str) -> list[Field]:
    """The fields of a well-formed message of a type."""
    cursor = _Cursor(data)
    while cursor.at < len(data):
        key = _varint(cursor)
        number, wire = key >> 3, key & 7
        if wire == 0:
            cursor.fields.append(Field(number, wire, _varint(cursor)))
            continue
        size = _varint(cursor) if wire == 2 else {5: 4, 1: 8}[wire]
        part = data[cursor.at : cursor.at + size]
        cursor.at += size
        inner = _MESSAGES[kind].get(number, "") if wire == 2 else ""
        cursor.fields.append(Field(number, wire, parse(part, inner) if inner else part, inner))
    return cursor.fields


def serialize(fields: list[Field]) -> bytes:
    """The message of these fields."""
    out = bytearray()
    for one in fields:
        out += _encode(one.number << 3 | one.wire)
        if isinstance(one.value, int):
            out += _encode(one.value)
            continue
        part = serialize(one.value) if isinstance(one.value, list) else one.value
        out += _encode(len(part)) + part if one.wire == 2 else part
    return bytes(out)


def _change(one: Field, random: Random) -> None:
    if isinstance(one.value, int):
        one.value = random.choice((*INTEGERS, one.value + 1, one.value - 1)) % (1 << 64)
    elif one.wire == 5:
        one.value = struct.pack("<f", random.choice(FLOATS))
    elif isinstance(one.value, list):
        one.value = random.sample(one.value, len(one.value)) if random.random() < 0.5 else []
    else:
        assert isinstance(one.value, bytes)
        kind = random.randrange(5)
        if kind == 0:
            one.value = random.choice(_NAMES).encode()
        elif kind == 1:
            one.value = random.choice(TEXTS).encode(errors="surrogatepass")
        elif kind == 2:
            one.value = one.value[: random.randrange(len(one.value) + 1)]
        elif kind == 3 and len(one.value) >= 4:
            at = random.randrange(len(one.value) // 4) * 4
            value = struct.pack("<f", random.choice(FLOATS))
            one.value = one.value[:at] + value + one.value[at + 4 :]
        else:
            one.value = struct.pack("<q", random.choice(INTEGERS[:15])) * random.choice((1, 2, 4))


def _new(random: Random) -> Field:
    number = random.choice((1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 20, 21, 25, 31, 500))
    if random.random() < 0.5:
        return Field(number, 0, random.choice(INTEGERS) % (1 << 64))
    return Field(number, 2, random.choice(TEXTS).encode(errors="surrogatepass"))


def _lists(fields: list[Field]) -> list[list[Field]]:
    found = [fields]
    for one in fields:
        if isinstance(one.value, list):
            found += _lists(one.value)
    return found


def _varint(cursor: _Cursor) -> int:
    value = shift = 0
    while True:
        octet = cursor.data[cursor.at]
        cursor.at += 1
        value |= (octet & 0x7F) << shift
        shift += 7
        if octet < 0x80:
            return value


def _encode(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
