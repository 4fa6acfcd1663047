"""Changes to the objects of a TFLite file, by the schema that LiteRT brings."""

from random import Random
from typing import Any

import numpy as np

from tests.fuzz.mutations.plain import FLOATS, INTEGERS


def change_tflite(content: bytes, random: Random) -> bytes | None:
    """One to three values changed, taken away, repeated or moved; None where it does not pack."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        _change(random.choice(_objects(model)), random)
    try:
        builder = flatbuffers.Builder(len(content))
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
    except Exception:  # what the schema's own code makes of a wrong value
        return None


def _objects(value: Any, depth: int = 0) -> list[Any]:
    """All tables of a model, but of its buffers few."""
    found = [value]
    for name, inner in vars(value).items():
        items = inner if isinstance(inner, list) else [inner]
        for item in items[:3] if name == "buffers" else items:
            if hasattr(item, "Pack") and depth < 6:
                found += _objects(item, depth + 1)
    return found


def _change(table: Any, random: Random) -> None:
    names = [name for name, value in vars(table).items() if value is not None]
    if not names:
        return
    name = random.choice(names)
    value = getattr(table, name)
    if isinstance(value, (bool, np.bool_)):
        setattr(table, name, not value)
    elif isinstance(value, (int, np.integer)):
        near = (int(value) + 1, int(value) - 1, random.randrange(200), random.randrange(8))
        setattr(table, name, random.choice((*INTEGERS[:16], *near)))
    elif isinstance(value, (float, np.floating)):
        setattr(table, name, random.choice(FLOATS))
    elif isinstance(value, np.ndarray):
        setattr(table, name, _change_array(value, random))
    elif isinstance(value, list) and value:
        _change_list(value, random)
    elif isinstance(value, bytes):
        setattr(table, name, random.choice((b"", b"a" * 40, b"model_control_dependencies")))
    else:
        setattr(table, name, None)


def _change_array(array: Any, random: Random) -> Any:
    kind = random.randrange(5)
    if kind == 0:
        return None
    if kind == 1:
        return array[: random.randrange(len(array) + 1)]
    if kind == 2:
        return np.concatenate([array, array[:1]])
    changed = array.copy()
    if len(changed):
        at = random.randrange(len(changed))
        if changed.dtype.kind == "f":
            changed[at] = random.choice(FLOATS)
        else:
            limits = np.iinfo(changed.dtype)
            near = (int(changed[at]) + 1, int(changed[at]) - 1, random.randrange(64))
            value = random.choice((*INTEGERS, *near))
            changed[at] = min(max(value, int(limits.min)), int(limits.max))
    return changed


def _change_list(values: list[Any], random: Random) -> None:
    at, other = random.randrange(len(values)), random.randrange(len(values))
    kind = random.randrange(4)
    if kind == 0:
        del values[at]
    elif kind == 1:
        values.insert(at, values[other])
    elif kind == 2:
        values[at], values[other] = values[other], values[at]
    elif isinstance(values[at], (int, np.integer)):
        values[at] = random.choice(INTEGERS[:16])
    else:
        values[at] = values[other]
