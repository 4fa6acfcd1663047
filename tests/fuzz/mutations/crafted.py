"""Bundles that somebody made on purpose: each a function that spoils a good one in its folder."""

import base64
import hashlib
import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fuzz.mutations.onnx_tree import Field, parse, serialize

SECRET = "secret.bin"
"""Lies in the current directory of who reads the bundle, and one above: nobody may open it."""

Spoil = Callable[[Path], None]


def rewrite_hashes(folder: Path) -> None:
    """Makes bundle.json say of every file what it is, where it still can."""
    file = folder / "bundle.json"
    try:
        content = json.loads(file.read_bytes())
        for entry in [*content["artifacts"], content.get("provenance")]:
            if entry is None:
                continue
            data = (folder / entry.get("file", "provenance.json")).read_bytes()
            entry.update(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    except (ValueError, TypeError, KeyError, AttributeError, OSError):
        return
    file.write_text(json.dumps(content))


def change_description(change: Callable[[dict[str, Any]], None]) -> Spoil:
    """Of bundle.json."""

    def spoil(folder: Path) -> None:
        content = json.loads((folder / "bundle.json").read_bytes())
        change(content)
        (folder / "bundle.json").write_text(json.dumps(content))

    return spoil


def change_graph(change: Callable[[list[Field]], None]) -> Spoil:
    """Of the fields of the ONNX artifact's graph."""

    def spoil(folder: Path) -> None:
        (file,) = folder.glob("*.onnx")
        model = parse(file.read_bytes(), "model")
        (graph,) = (one.value for one in model if one.number == 7)
        assert isinstance(graph, list)
        change(graph)
        file.write_bytes(serialize(model))
        rewrite_hashes(folder)

    return spoil


def _text(number: int, text: str) -> Field:
    return Field(number, 2, text.encode())


def _external(location: str, offset: int | None = None) -> Spoil:
    def change(graph: list[Field]) -> None:
        tensor = next(one for one in graph if one.number == 5).value
        assert isinstance(tensor, list)
        tensor[:] = [one for one in tensor if one.number not in (4, 5, 7, 9)]
        pairs = {"location": location} | ({} if offset is None else {"offset": str(offset)})
        for key, value in pairs.items():
            tensor.append(Field(13, 2, [_text(1, key), _text(2, value)]))
        tensor.append(Field(14, 0, 1))

    return change_graph(change)


def _node(operator: str, domain: str = "", subgraph: bool = False) -> Spoil:
    def change(graph: list[Field]) -> None:
        node = next(one for one in graph if one.number == 1).value
        assert isinstance(node, list)
        node[:] = [one for one in node if one.number not in (4, 7)] + [_text(4, operator)]
        if domain:
            node.append(_text(7, domain))
        if subgraph:
            inner = [_text(1, "body"), Field(6, 2, [_text(2, "inner")]), Field(20, 0, 5)]
            node.append(Field(5, 2, inner))

    return change_graph(change)


def _dimensions(*sizes: int) -> Spoil:
    def change(graph: list[Field]) -> None:
        tensor = next(one for one in graph if one.number == 5).value
        assert isinstance(tensor, list)
        tensor[:] = [Field(1, 0, size % (1 << 64)) for size in sizes] + [
            one for one in tensor if one.number != 1
        ]

    return change_graph(change)


def _replace(name: str, make: Callable[[Path], None]) -> Spoil:
    """One of the files; `*` is the first artifact."""

    def spoil(folder: Path) -> None:
        file = next(iter(sorted(folder.glob("*.onnx")))) if name == "*" else folder / name
        file.unlink(missing_ok=True)
        make(file)

    return spoil


def _split(images: int) -> Spoil:
    """A split record of so many images, in a few kilobytes."""

    def spoil(folder: Path) -> None:
        file = folder / "provenance.json"
        if not file.exists():
            return
        content = json.loads(file.read_bytes())
        packed = zlib.compress(b"t" * min(images, 20_000_001), 9)
        content["data"]["splits"]["assignment"].update(
            images=images, zlib_base64=base64.b64encode(packed).decode()
        )
        file.write_text(json.dumps(content))
        rewrite_hashes(folder)

    return spoil


def _golden(rows: int, tolerance: float = 0.05, value: float = 0.0) -> Spoil:
    def change(content: dict[str, Any]) -> None:
        row = [value] * len(content["labels"])
        golden = {"logits": [row] * rows, "tolerance": tolerance}
        for artifact in content["artifacts"]:
            artifact["golden"] = golden

    return change_description(change)


def _large(content: dict[str, Any]) -> None:
    content.update(height=1024, width=1024)
    row = [0.0] * len(content["labels"])
    for artifact in content["artifacts"]:
        artifact["golden"] = {"logits": [row] * 4096, "tolerance": 0.05}


def _paint_much(content: dict[str, Any]) -> None:
    content["golden_rectangles"] = ["00" * 7 * 100_000] * 32


def _swap_labels(content: dict[str, Any]) -> None:
    content["labels"][0], content["labels"][1] = content["labels"][1], content["labels"][0]


def _large_numbers(folder: Path) -> None:
    """In provenance.json: whose ratio no float holds."""
    file = folder / "provenance.json"
    if file.exists():
        content = json.loads(file.read_bytes())
        for checks in content["artifacts"].values():
            checks["test"].update(same_top1=10**400, images=10**401)
        file.write_text(json.dumps(content))
        rewrite_hashes(folder)


def _write(content: bytes) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        file.write_bytes(content)

    return write


CRAFTED: dict[str, Spoil] = {
    "external data beside": _external(SECRET),
    "external data above": _external(f"../{SECRET}"),
    "external data at the end": _external(SECRET, 1 << 62),
    "external data in memory": _external("*/_ORT_MEM_ADDR_/*", 4096),
    "external data of the system": _external("/etc/hostname"),
    "external data without a name": _external(""),
    "a loop": _node("Loop", subgraph=True),
    "a condition": _node("If", subgraph=True),
    "a scan": _node("Scan", subgraph=True),
    "a custom operator": _node("Custom", "org.example"),
    "an operator of onnxruntime": _node("QGemm", "com.microsoft"),
    "a tensor of 2^63": _dimensions((1 << 63) - 1, 2),
    "a tensor of 2^64": _dimensions(1 << 32, 1 << 32),
    "a negative dimension": _dimensions(-1),
    "a tensor of nothing": _dimensions(0, 1 << 62),
    "many dimensions": _dimensions(*[1] * 5000),
    "bundle.json is a FIFO": _replace("bundle.json", os.mkfifo),
    "bundle.json is /dev/zero": _replace("bundle.json", lambda f: f.symlink_to("/dev/zero")),
    "bundle.json is a folder": _replace("bundle.json", Path.mkdir),
    "bundle.json is a link in a circle": _replace("bundle.json", lambda f: f.symlink_to(f.name)),
    "bundle.json is empty": _replace("bundle.json", _write(b"")),
    "bundle.json is deep": _replace("bundle.json", _write(b'{"format":2,"a":' + b"[" * 100_000)),
    "bundle.json is large": _replace("bundle.json", _write(b"[" + b"[]," * 400_000 + b"[]]")),
    "the model is a FIFO": _replace("*", os.mkfifo),
    "the model is /dev/zero": _replace("*", lambda f: f.symlink_to("/dev/zero")),
    "the model is a folder": _replace("*", Path.mkdir),
    "the model is a link out": _replace("*", lambda f: f.symlink_to(f"../cwd/{SECRET}")),
    "provenance.json is a FIFO": _replace("provenance.json", os.mkfifo),
    "4096 golden answers": _golden(4096),
    "4096 golden answers of a large image": change_description(_large),
    "3,200,000 golden rectangles": change_description(_paint_much),
    "golden answers that overflow": _golden(8, value=1e308),
    "any answer is golden": _golden(8, tolerance=1e9),
    "numbers that no float holds": _large_numbers,
    "a split of all images": _split(100_000_000),
    "a split of more images": _split(10**15),
    "a split of no images": _split(0),
    "swapped labels": change_description(_swap_labels),
    "a temperature near 0": change_description(lambda c: c.update(temperature=5e-324)),
    "a temperature beyond all": change_description(lambda c: c.update(temperature=1e308)),
    "an escape code as a label": change_description(
        lambda c: c["labels"].__setitem__(0, "\x1b[2J")
    ),
    "half a character as a label": change_description(
        lambda c: c["labels"].__setitem__(0, "\ud800")
    ),
}
"""By what each is."""
