"""A reader of FlatBuffers' binary format for tables whose every field is known.

https://flatbuffers.dev/internals. Engines follow a file's offsets without a check, so all are
checked here: within the file, aligned, of bounded length, strings ended by a zero. A field that the
schema does not know, or refuses, must be absent.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tinysight.errors import BundleError

Kind = Literal[
    "bool", "byte", "ubyte", "int", "uint", "ulong",
    "string", "table", "tables", "bytes", "data", "ints", "longs", "floats", "refused",
]  # fmt: skip

Fields = dict[str, Any]
"""The fields that are there: int; str; the place of a table, or a list of them; arrays."""

_SCALARS: Mapping[str, tuple[str, int]] = {
    "bool": ("<B", 1), "byte": ("<b", 1), "ubyte": ("<B", 1),
    "int": ("<i", 4), "uint": ("<I", 4), "ulong": ("<Q", 8),
}  # fmt: skip
_ARRAYS = {"bytes": "u1", "data": "u1", "ints": "<i4", "longs": "<i8", "floats": "<f4"}
_DATA_ALIGNMENT = 4
"""Of `data`, which is bytes of a tensor. The schema asks for 16, but not every writer follows."""


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A type of table: its fields, by slot."""

    name: str
    """For errors."""
    fields: tuple[tuple[str, Kind], ...]


@dataclass(frozen=True, slots=True)
class Reader:
    """A file, or what may be one."""

    data: bytes
    max_length: int
    """Of a vector or a string, except for `data`."""

    def root(self, identifier: bytes) -> int:
        """The place of the root table. Raises BundleError where the file is of another kind."""
        if len(self.data) < 8 or self.data[4:8] != identifier:
            raise BundleError(f"it does not begin as a file of {identifier.decode()}")
        return self._follow(0)

    def table(self, schema: TableSchema, at: int) -> Fields:
        """The fields of the table at a place. Raises BundleError for what is no such table."""
        try:
            return self._table(schema, at)
        except (struct.error, IndexError):  # a place outside of the file
            raise BundleError(f"{schema.name}: ends outside of the file") from None

    def _table(self, schema: TableSchema, at: int) -> Fields:
        vtable = at - self._unpack("<i", at, 4)
        size = self._unpack("<H", vtable, 2)
        length = self._unpack("<H", vtable + 2, 2)
        if size < 4 or size % 2 or length < 4 or vtable + size > len(self.data):
            raise BundleError(f"{schema.name}: a damaged table")
        if at + length > len(self.data):
            raise BundleError(f"{schema.name}: ends outside of the file")
        slots = struct.unpack_from(f"<{(size - 4) // 2}H", self.data, vtable + 4)
        fields: Fields = {}
        for slot, offset in enumerate(slots):
            if offset == 0:
                continue
            if slot >= len(schema.fields) or schema.fields[slot][1] == "refused":
                name = schema.fields[slot][0] if slot < len(schema.fields) else f"field {slot}"
                raise BundleError(f"{schema.name}: {name} is not allowed")
            name, kind = schema.fields[slot]
            width = _SCALARS[kind][1] if kind in _SCALARS else 4
            if offset < 4 or offset + width > length:
                raise BundleError(f"{schema.name}: {name} lies outside of its table")
            fields[name] = self._value(kind, at + offset)
        return fields

    def _value(self, kind: Kind, at: int) -> Any:
        if kind in _SCALARS:
            form, size = _SCALARS[kind]
            return self._unpack(form, at, size)
        target = self._follow(at)
        if kind == "table":
            return target
        count = self._unpack("<I", target, 4)
        start = target + 4
        if kind != "data" and count > self.max_length:
            raise BundleError(f"a list of {count:,}, allowed are {self.max_length:,}")
        if kind == "tables":
            return [self._follow(start + 4 * i) for i in range(count)]
        if kind == "string":
            if start + count >= len(self.data) or self.data[start + count] != 0:
                raise BundleError("a text does not end")
            try:
                return self.data[start : start + count].decode()
            except UnicodeDecodeError:
                raise BundleError("a text is no UTF-8") from None
        array: NDArray[Any] = np.empty(0, _ARRAYS[kind])
        alignment = _DATA_ALIGNMENT if kind == "data" else array.itemsize
        if count and start % alignment:
            raise BundleError("a list is not aligned")
        if start + count * array.itemsize > len(self.data):
            raise BundleError("a list ends outside of the file")
        return np.frombuffer(self.data, _ARRAYS[kind], count, start) if count else array

    def _follow(self, at: int) -> int:
        """Where an offset points to: always ahead, so no chain of them ends where it began."""
        offset = self._unpack("<I", at, 4)
        target = at + offset
        if offset == 0 or target + 4 > len(self.data) or target % 4:
            raise BundleError("an offset points outside of the file")
        return target

    def _unpack(self, form: str, at: int, size: int) -> int:
        if not 0 <= at <= len(self.data) - size or at % size:
            raise BundleError("a place outside of the file, or not aligned")
        value: int = struct.unpack_from(form, self.data, at)[0]
        return value
