"""JSON becomes records strictly: whatever is of another shape is refused, with its place."""

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinysight.records import (
    MAX_DEPTH,
    JsonObject,
    RecordError,
    from_json,
    load_json,
    parse_json,
    to_json,
)


@dataclass(frozen=True, slots=True)
class Inner:
    size: int
    note: str | None = None

    DERIVED: ClassVar = ("twice",)

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("a size is not negative")

    @property
    def twice(self) -> int:
        return 2 * self.size


@dataclass(frozen=True, slots=True)
class Outer:
    name: str
    kind: Literal["a", "b"]
    ratio: float
    flag: bool
    inner: Inner
    many: tuple[Inner, ...]
    pair: tuple[int, str]
    by_name: Mapping[str, float | None]
    samples: NDArray[np.int64]
    children: "tuple[Outer, ...]" = ()
    other: JsonObject = field(default_factory=dict)
    place: Path | None = field(default=None, metadata={"json": False})


GOOD = {
    "name": "x",
    "kind": "a",
    "ratio": 1,
    "flag": True,
    "inner": {"size": 1, "note": None, "twice": 2},
    "many": [{"size": 2}],
    "pair": [1, "y"],
    "by_name": {"p": 0.5, "q": None},
    "samples": [1, 2, 3],
    "other": {"anything": [1, {"at": "all"}]},
}


def test_what_is_written_is_read_again() -> None:
    once = from_json(Outer, {**GOOD, "children": [GOOD]})
    assert once.inner == Inner(1)
    assert once.many == (Inner(2),)
    assert isinstance(once.ratio, float)
    assert once.samples.dtype == np.int64
    assert once.children[0].name == "x"
    written = to_json(once)
    assert written["inner"] == {"size": 1, "note": None, "twice": 2}
    assert "place" not in written
    again = from_json(Outer, json.loads(json.dumps(written)))
    assert to_json(again) == written


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 1}, "name: 1 is not of type str"),
        ({"kind": "c"}, "kind: 'c' is none of 'a', 'b'"),
        ({"ratio": "1"}, "ratio: '1' is not a finite number"),
        ({"ratio": True}, "ratio: True is not"),
        ({"ratio": 10**400}, "ratio: "),
        ({"ratio": math.inf}, "ratio: inf is not a finite number"),
        ({"flag": 1}, "flag: 1 is not of type bool"),
        ({"inner": None}, "inner: None is not an object"),
        ({"inner": {"size": True}}, "inner.size: True is not of type int"),
        ({"inner": {"size": -1}}, "inner: a size is not negative"),
        ({"inner": {}}, "inner: size is missing"),
        ({"inner": {"size": 1, "colour": 2}}, "inner: unknown key 'colour'"),
        ({"many": [{"size": 1}, {"size": 0.5}]}, r"many\[1\].size: 0.5 is not of type int"),
        ({"many": {}}, "many: {} is not a list"),
        ({"pair": [1]}, "pair: 1 entries, expected are 2"),
        ({"by_name": {"p": "x"}}, "by_name.p: 'x' is not a finite number"),
        ({"by_name": []}, r"by_name: \[\] is not an object"),
        ({"samples": [1, 0.5]}, "samples: not a list of integers"),
        ({"samples": [2**64]}, "samples: an integer of more than 64 bits"),
        ({"other": 3}, "other: 3 is not an object"),
        ({"children": [3]}, r"children\[0\]: 3 is not an object"),
        ({"place": "/etc"}, "unknown key 'place'"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(RecordError, match=message):
        from_json(Outer, {**GOOD, **change})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(GOOD)), values)
def test_any_value_is_read_or_refused(key: str, value: object) -> None:
    with contextlib.suppress(RecordError):  # and nothing else
        assert isinstance(from_json(Outer, {**GOOD, key: value}), Outer)


@given(st.binary(max_size=40))
def test_any_bytes_are_json_or_refused(content: bytes) -> None:
    with contextlib.suppress(RecordError):
        assert parse_json(content) == json.loads(content)


def test_a_file_has_a_limit(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text("[1]")
    assert load_json(file, 3) == [1]
    with pytest.raises(RecordError, match="more than 2 bytes"):
        load_json(file, 2)


@dataclass(frozen=True)
class Plain:
    """One text and one integer."""

    text: str = ""
    number: int = 0


@pytest.mark.parametrize("text", ["\x1b[2J", "two\nlines", "\x00", "\u202eright", "\ud800", "\x9b"])
def test_text_that_moves_a_terminals_cursor_is_refused(text: str) -> None:
    with pytest.raises(RecordError, match=r"^text: .* is not printed$"):
        from_json(Plain, {"text": text})
    assert from_json(Plain, {"text": "é\tß 猫"}).text == "é\tß 猫"


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 10**400])
def test_an_integer_beyond_64_bits_is_refused(number: int) -> None:
    with pytest.raises(RecordError, match="number: an integer of more than 64 bits"):
        from_json(Plain, {"number": number})
    assert from_json(Plain, {"number": (1 << 63) - 1}).number == (1 << 63) - 1


def test_depth_is_bounded() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"0}")):
        deep = opening * (MAX_DEPTH + 1) + closing * (MAX_DEPTH + 1)
        with pytest.raises(RecordError, match=r"nested deeper than 64|not JSON"):
            parse_json(deep)
