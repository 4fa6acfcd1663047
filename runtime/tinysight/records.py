"""JSON read into frozen dataclasses, strictly, and written from them.

A device has no schema library, so the dataclasses are the schema: every key of an object is a field
of its class, of exactly that type, and what `__post_init__` refuses is refused here. What is read
from a file therefore travels as typed records from the first line on.

Types that are understood: bool, int, float (finite), str, None, Literal, unions, `tuple[X, ...]`,
`tuple[X, Y]`, `Mapping[str, X]`, other dataclasses, one-dimensional int64 arrays, and `JsonObject`
for what belongs to somebody else and is only carried along.
"""

import dataclasses
import json
import math
import re
import types
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

JsonObject: TypeAlias = Mapping[str, Any]
"""An object whose content another package defines."""

MAX_DEPTH = 64
"""Of lists and objects in each other: what walks through them may recurse."""

T = TypeVar("T")

_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that move a terminal's cursor, change the direction of text or are none: a text that
holds one can look like another."""

_DERIVED = "DERIVED"
"""A class attribute of a record: the names of properties that are written beside its fields, for
other readers, and ignored when read."""


class RecordError(ValueError):
    """Content that does not fit its record; the message begins with the place of the fault."""


def load_json(path: Path, max_bytes: int) -> Any:
    """Reads a JSON file of limited size.

    Raises:
        RecordError: it is larger, no JSON, or holds NaN or Infinity, which are no JSON either.
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        content = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise RecordError(f"more than {max_bytes:,} bytes")
    return parse_json(content)


def parse_json(content: bytes) -> Any:
    """The JSON value of UTF-8 bytes, no deeper than `MAX_DEPTH`. Raises RecordError."""
    try:
        value = json.loads(content, parse_constant=_refuse_constant)
    except RecordError:
        raise
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON ({error!s:.100})") from None
    _check_depth(value)
    return value


def from_json(kind: type[T], content: object, where: str = "") -> T:
    """Builds a record of the class `kind` from parsed JSON.

    Args:
        kind: a dataclass.
        content: what `json.loads` gave.
        where: the place of `content` in its file, for the message of an error.

    Raises:
        RecordError: a key is missing or unknown, a value is of another type, or the class refuses
            the values.
    """
    if not isinstance(content, dict):
        raise RecordError(f"{where or 'the content'}: {_show(content)} is not an object")
    required, optional, derived = _fields(kind)  # type: ignore[arg-type]  # a class is hashable
    values = {}
    for name, value in content.items():
        type_ = required.get(name) or optional.get(name)
        if type_ is not None:
            values[name] = _convert(type_, value, f"{where}.{name}" if where else name)
        elif name not in derived:
            raise RecordError(f"{where + ': ' if where else ''}unknown key {name!r:.60}")
    for name in required:
        if name not in values:
            raise RecordError(f"{where + ': ' if where else ''}{name} is missing")
    try:
        return kind(**values)
    except RecordError:
        raise
    except (ValueError, OverflowError) as error:
        raise RecordError(f"{where + ': ' if where else ''}{error}") from None


def to_json(value: Any) -> Any:
    """The inverse of `from_json`: plain values that `json.dumps` takes, derived ones included."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in _json_fields(type(value))]
        names += getattr(value, _DERIVED, ())
        return {name: to_json(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {name: to_json(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    return value


def _json_fields(kind: type) -> list[dataclasses.Field[Any]]:
    """Those of a class that are written; `metadata={"json": False}` excludes one."""
    return [field for field in dataclasses.fields(kind) if field.metadata.get("json", True)]


@cache
def _fields(kind: type) -> tuple[dict[str, Any], dict[str, Any], frozenset[str]]:
    """The types of a class's required and optional fields, and the names that are only written."""
    required: dict[str, Any] = {}
    optional: dict[str, Any] = {}
    types_ = {field.name: field.type for field in _json_fields(kind)}
    if any(isinstance(type_, str) for type_ in types_.values()):  # a class that contains itself
        types_ = get_type_hints(kind)
    for field in _json_fields(kind):
        has_default = (
            field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING
        )
        (optional if has_default else required)[field.name] = types_[field.name]
    return required, optional, frozenset(getattr(kind, _DERIVED, ()))


def _convert(type_: Any, value: Any, where: str) -> Any:
    if type_ is float:
        if type(value) not in (int, float) or not _is_finite(value):
            raise RecordError(f"{where}: {_show(value)} is not a finite number")
        return float(value)
    if type_ in (bool, int, str):
        if type(value) is not type_:
            raise RecordError(f"{where}: {_show(value)} is not of type {type_.__name__}")
        if type_ is int and not -(1 << 63) <= value < 1 << 63:
            raise RecordError(f"{where}: an integer of more than 64 bits")
        if type_ is str and _CONTROL.search(value):
            raise RecordError(f"{where}: {_show(value)} holds a character that is not printed")
        return value
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is Literal:
        if not any(value == one and type(value) is type(one) for one in arguments):
            known = ", ".join(map(repr, arguments))
            raise RecordError(f"{where}: {_show(value)} is none of {known}")
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(arguments, value, where)
    if origin is tuple:
        return _convert_tuple(arguments, value, where)
    if origin is np.ndarray:
        return _convert_array(value, where)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise RecordError(f"{where}: {_show(value)} is not an object")
        if arguments[1] is Any:
            return value
        return {
            name: _convert(arguments[1], item, f"{where}.{_printable(name)}")
            for name, item in value.items()
        }
    return from_json(type_, value, where)


def _convert_union(kinds: Sequence[Any], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    others = [kind for kind in kinds if kind is not type(None)]
    for kind in others[:-1]:
        try:
            return _convert(kind, value, where)
        except RecordError:
            continue
    return _convert(others[-1], value, where)


def _convert_tuple(kinds: Sequence[Any], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise RecordError(f"{where}: {_show(value)} is not a list")
    if kinds[-1] is Ellipsis:
        kinds = [kinds[0]] * len(value)
    elif len(value) != len(kinds):
        raise RecordError(f"{where}: {len(value)} entries, expected are {len(kinds)}")
    pairs = zip(kinds, value, strict=True)
    return tuple(_convert(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(pairs))


def _convert_array(value: Any, where: str) -> Any:
    if not isinstance(value, list) or not all(type(item) is int for item in value):
        raise RecordError(f"{where}: not a list of integers")
    try:
        return np.array(value, dtype=np.int64)
    except OverflowError:
        raise RecordError(f"{where}: an integer of more than 64 bits") from None


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner = [x for x in level if isinstance(x, (dict, list))]
        if not inner:
            return
        level = [x for one in inner for x in (one.values() if isinstance(one, dict) else one)]
    raise RecordError(f"lists and objects are nested deeper than {MAX_DEPTH}")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond what a float holds
        return False


def _printable(name: str) -> str:
    """A key as part of a place, for a message."""
    return f"{name:.60}" if name.isprintable() else f"{name!r:.60}"


def _show(value: object) -> str:
    return f"{value!r:.40}"


def _refuse_constant(name: str) -> float:
    raise RecordError(f"{name} is not JSON")
