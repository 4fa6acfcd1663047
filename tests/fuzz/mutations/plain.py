"""Changes to bytes and to JSON values."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

INTEGERS = (
    0, 1, -1, 2, 3, 127, 128, 255, 256, -128, 1023, 65535, 1 << 20, (1 << 31) - 1, 1 << 31,
    -(1 << 31), (1 << 32) - 1, 1 << 40, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1,
)  # fmt: skip
FLOATS = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    1e-45,
    1e-30,
    1e30,
    3.4e38,
    float("inf"),
    float("-inf"),
    float("nan"),
)
TEXTS = (
    "", "a", "../secret.bin", "secret.bin", "/dev/zero", "bundle.json", "\x1b[2J", "a\nb", "\u202e",
    "\ud800", "a" * 5000, "\0", "com.microsoft", "Loop", "é",
)  # fmt: skip

Keys = tuple[str | int, ...]


def change_bytes(content: bytes, random: Random) -> bytes:
    """A few bits, bytes or blocks changed."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        at = random.randrange(len(data)) if data else 0
        kind = random.randrange(7)
        if kind == 0 and data:
            data[at] ^= 1 << random.randrange(8)
        elif kind == 1 and data:
            data[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
        elif kind == 2:
            del data[at : at + random.choice((1, 2, 4, 16, 1000))]
        elif kind == 3:
            data[at:at] = random.randbytes(random.choice((1, 2, 4, 16)))
        elif kind == 4:
            size = random.choice((1, 4, 16, 64))
            data[at : at + size] = data[(other := random.randrange(len(data) + 1)) : other + size]
        elif kind == 5:
            data[at : at + 4] = (random.choice(INTEGERS) % (1 << 32)).to_bytes(4, "little")
        else:
            del data[at:]
    return bytes(data)


def change_json(content: bytes, random: Random) -> bytes:
    """One to three values changed, taken away, repeated or moved."""
    value = json.loads(content)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        places = list(_places(value))
        if not places:
            break
        at = random.choice(places)
        inner: Any = value
        for key in at[:-1]:
            inner = inner[key]
        kind = random.randrange(8)
        if kind == 0:
            del inner[at[-1]]
        elif kind == 1 and isinstance(inner, list):
            inner.extend([inner[int(at[-1])]] * random.choice((1, 2, 40, 5000)))
        elif kind == 2 and isinstance(inner, dict):
            inner[random.choice(TEXTS)] = inner[str(at[-1])]
        elif kind == 3:
            inner[at[-1]] = _deep(random.choice((2, 60, 70, 200, 400)), random)
        elif kind == 4:
            other: Any = value
            for key in random.choice(places):
                other = other[key]
            inner[at[-1]] = json.loads(json.dumps(other))
        else:
            inner[at[-1]] = _value(random)
    try:
        return json.dumps(value).encode()
    except RecursionError:  # a deep value that was put into itself
        return change_bytes(content, random)


def _value(random: Random) -> Any:
    return random.choice(
        (
            None, True, [], {}, [[]], random.choice(INTEGERS), random.choice(FLOATS),
            random.choice(TEXTS), random.choice(INTEGERS), random.choice(TEXTS), 10**400, 1e308,
            ["a"] * random.choice((2, 1000)), random.random(),
        )
    )  # fmt: skip


def _deep(depth: int, random: Random) -> Any:
    value: Any = 0
    key = random.choice(("a", "teachers"))
    for _ in range(depth):
        value = [value] if key == "a" else {key: [value]}
    return value


def _places(content: Any, at: Keys = ()) -> Iterator[Keys]:
    if at:
        yield at
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _places(value, (*at, key))
    elif isinstance(content, list):
        for i in range(min(len(content), 2)):
            yield from _places(content[i], (*at, i))
