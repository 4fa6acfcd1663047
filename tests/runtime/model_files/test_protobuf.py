"""The wire format is read as the package `protobuf` reads it, or refused."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutations.onnx_tree import Field, serialize
from tinysight.errors import BundleError
from tinysight.model_files import protobuf
from tinysight.model_files.protobuf import Schema

SCHEMA = Schema(
    "thing",
    {
        1: ("number", "int"),
        2: ("name", "text"),
        3: ("weights", "floats"),
        4: ("sizes", "ints"),
        5: ("parts", "parts"),
        200: ("ratio", "float"),
    },
    {7: "a subgraph"},
)


def read(*fields: Field) -> protobuf.Message:
    return protobuf.read(SCHEMA, memoryview(serialize(list(fields))))


@given(st.integers(-(1 << 63), (1 << 63) - 1), st.text())
def test_values_are_read(number: int, name: str) -> None:
    message = read(Field(1, 0, number % (1 << 64)), Field(2, 2, name.encode()))
    assert message == {"number": number, "name": name}


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=20))
def test_lists_are_read_packed_and_not(values: list[int]) -> None:
    single = [Field(4, 0, value % (1 << 64)) for value in values]
    packed = b"".join(serialize([one])[1:] for one in single)
    for message in (read(*single), read(Field(4, 2, packed))):
        sizes = message.get("sizes", [])
        assert protobuf.integers(sizes, 20) == values
        assert protobuf.count_integers(sizes) == len(values)


def test_floats_are_counted() -> None:
    one = Field(3, 5, struct.pack("<f", 2.5))
    assert protobuf.count_floats(read(one, one)["weights"]) == 2
    assert protobuf.count_floats(read(Field(3, 2, bytes(12)))["weights"]) == 3
    assert read(Field(200, 5, struct.pack("<f", 0.5))) == {"ratio": 0.5}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x0b", "no such wire type as 3"),
        (b"\x08", "an integer is damaged"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "an integer is damaged"),
        (b"\x12\x05abc", "ends within a field"),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "ends within a field"),
        (b"\x08\x01\x08\x02", "number stands twice"),
        (b"\x30\x01", "field 6 is not allowed"),
        (b"\x3a\x00", "a subgraph is not allowed"),
        (b"\x0a\x01a", "number is of another type"),
        (b"\x12\x01\xff", "no UTF-8"),
        (b"\x00\x01", "field 0 is not allowed"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_such_message_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        protobuf.read(SCHEMA, memoryview(content))


def test_damaged_lists_are_refused() -> None:
    with pytest.raises(BundleError, match="floats is damaged"):
        protobuf.count_floats(read(Field(3, 2, b"abc"))["weights"])
    for content in (b"\x80", b"\x80" * 11 + b"\x01"):
        with pytest.raises(BundleError, match="damaged"):
            protobuf.count_integers(read(Field(4, 2, content))["sizes"])
    with pytest.raises(BundleError, match="more than 3"):
        protobuf.integers(read(Field(4, 2, bytes(4)))["sizes"], 3)


@given(st.binary(max_size=200))
def test_nothing_but_a_typed_error_comes_of_noise(content: bytes) -> None:
    with contextlib.suppress(BundleError):
        protobuf.read(SCHEMA, memoryview(content))
