"""A reader of protobuf's wire format for messages whose every field is known.

https://protobuf.dev/programming-guides/encoding. It is stricter than protobuf: unknown fields,
groups, and a field that may stand once and stands twice (which protobuf merges, so that two readers
may see two messages) are refused. Every step consumes input, so the time is linear in its length.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from tinysight.errors import BundleError

Kind = Literal["int", "float", "bytes", "text", "ints", "floats", "parts", "texts"]
"""The plural ones may stand any number of times; `ints` and `floats` may be packed."""

Message = dict[str, Any]
"""The fields that were there, by name: int (signed 64 bit), float, memoryview, str, or lists."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIRE = {
    "int": _VARINT, "ints": _VARINT, "float": _FIXED32, "floats": _FIXED32,
    "bytes": _BYTES, "text": _BYTES, "parts": _BYTES, "texts": _BYTES,
}  # fmt: skip
_SINGLE = {"int", "float", "bytes", "text"}


class Schema(NamedTuple):
    """A type of message: what may stand in it.

    A named tuple, as the other records of these modules: a dataclass takes half a millisecond to
    be defined, of every process that loads a model.
    """

    name: str
    """For errors."""
    fields: Mapping[int, tuple[str, Kind]]
    """By number. A field that is not here is refused."""
    refused: Mapping[int, str]
    """By number: those that are refused by name, because a reader should know what was tried."""


def read(schema: Schema, data: memoryview) -> Message:
    """The fields of a message. Raises BundleError for what is no such message."""
    message: Message = {}
    for number, wire, value in _fields(schema, data):
        known = schema.fields.get(number)
        if known is None:
            what = schema.refused.get(number, f"field {number}")
            raise BundleError(f"{schema.name}: {what} is not allowed")
        name, kind = known
        if wire != _WIRE[kind] and not (wire == _BYTES and kind in ("ints", "floats")):
            raise BundleError(f"{schema.name}: {name} is of another type")
        if kind in _SINGLE:
            if name in message:
                raise BundleError(f"{schema.name}: {name} stands twice")
            message[name] = _decode(schema, kind, value)
        elif wire == _BYTES and kind in ("ints", "floats"):
            message.setdefault(name, []).append(value)
        else:
            message.setdefault(name, []).append(_decode(schema, kind, value))
    return message


def integers(values: list[int | memoryview], limit: int) -> list[int]:
    """The values of an `ints` field, packed or not. Raises BundleError for more than `limit`."""
    out: list[int] = []
    for value in values:
        if isinstance(value, int):
            out.append(value)
            continue
        at = 0
        while at < len(value) and len(out) <= limit:
            one, at = _varint(value, at)
            out.append(_signed(one))
    if len(out) > limit:
        raise BundleError(f"a list of more than {limit} integers")
    return out


def count_integers(values: list[int | memoryview]) -> int:
    """How many values an `ints` field has, without decoding each."""
    total = 0
    for value in values:
        if isinstance(value, int):
            total += 1
        elif len(value):
            octets = np.frombuffer(value, np.uint8)
            ends = np.flatnonzero(octets < 0x80)  # the last byte of each varint
            if octets[-1] >= 0x80 or (np.diff(ends, prepend=-1) > 10).any():
                raise BundleError("a list of integers is damaged")
            total += len(ends)
    return total


def count_floats(values: list[float | memoryview]) -> int:
    """How many values a `floats` field has."""
    total = 0
    for value in values:
        if isinstance(value, float):
            total += 1
        elif len(value) % 4:
            raise BundleError("a list of floats is damaged")
        else:
            total += len(value) // 4
    return total


def _fields(schema: Schema, data: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Number, wire type and value, undecoded, of every field, in order."""
    at, end = 0, len(data)
    while at < end:
        key = data[at]
        at += 1
        if key >= 0x80:  # a field number above 15
            key, at = _varint(data, at - 1)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise BundleError(f"{schema.name}: no such wire type as {wire}")
        if size > end - at:
            raise BundleError(f"{schema.name}: ends within a field")
        yield number, wire, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """An unsigned integer of 64 bits that begins at a byte, and the byte behind it."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise BundleError("an integer is damaged")
        octet = data[at]
        at += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _decode(schema: Schema, kind: Kind, value: int | memoryview) -> Any:
    if isinstance(value, int):
        return _signed(value)
    if kind in ("float", "floats"):
        return struct.unpack("<f", value)[0]
    if kind in ("text", "texts"):
        try:
            return str(value, "utf-8")
        except UnicodeDecodeError:
            raise BundleError(f"{schema.name}: a text is no UTF-8") from None
    return value
