"""Every field of a bundle changed, one after the other: every command says so in one line.

The files' hashes agree with their content, so that nothing but the reading itself can notice.
"""

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tinysight import load_bundle
from tinysight.bundle import PROVENANCE
from tinysight.cli.main import COMMANDS, main

COMMAND_LINES = {
    "classify": ["classify", "PICTURE", "--bundle", "BUNDLE"],
    "bulk": ["bulk", "PICTURE", "--bundle", "BUNDLE", "--out", "STORE"],
    "stream": ["stream", "PICTURE", "--bundle", "BUNDLE"],
    "info": ["info", "--bundle", "BUNDLE"],
    "verify": ["verify", "--bundle", "BUNDLE"],
    "bench": ["bench", "--bundle", "BUNDLE"],
    "tune": ["tune", "--bundle", "BUNDLE"],
    "select": ["select", "--bundle", "BUNDLE", "--max-size-kb", "900"],
    "sign": ["sign", "--bundle", "BUNDLE", "--key", "none.key"],
    "pull": ["pull", "BUNDLE", "STORE"],
}
READS_NO_BUNDLE = {"keygen", "rollback"}
"""The second reads one that `pull` has verified: tests/runtime/updates."""
READS_PROVENANCE = ("info", "verify", "bench")

Keys = tuple[str | int, ...]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the quicker shipped bundle, which a test changes and puts right again."""
    folder = tmp_path_factory.mktemp("bundle") / "edge_s"
    shutil.copytree(load_bundle("edge_s").folder or "", folder)
    return folder


@pytest.fixture(scope="module")
def call(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], int]:
    picture = tmp_path_factory.mktemp("pictures") / "grey.png"
    Image.new("RGB", (32, 32), (90, 90, 90)).save(picture)
    store = str(picture.parent / "store")
    words = {"BUNDLE": str(bundle), "PICTURE": str(picture), "STORE": store}
    return lambda command: main([words.get(word, word) for word in COMMAND_LINES[command]])


def places(content: Any, at: Keys = ()) -> Iterator[Keys]:
    """Every value inside, but of a list the first only, and nothing within golden logits."""
    if at:
        yield at
    if isinstance(content, dict):
        for key, value in content.items():
            yield from places(value, (*at, key))
    elif isinstance(content, list) and content and "logits" not in at:
        yield from places(content[0], (*at, 0))


def changed(content: Any, at: Keys, value: object) -> Any:
    """A copy with another value there; Ellipsis takes the key away."""
    copy = json.loads(json.dumps(content))
    inner = copy
    for key in at[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[at[-1]]
    else:
        inner[at[-1]] = value
    return copy


OPTIONAL = {
    "accuracy", "golden", "resample", "temperature", "abstention", "provenance", "answers_sha256",
    "microcontroller", "golden_rectangles",
}  # fmt: skip
DERIVED = {"value", "interval", "top1_agreement", "difference", "p"}
"""Written for other readers, and never read."""
FOREIGN = {"recipe", "settings", "versions", "changed", "layers_db", "letters"}
"""Carried along for another stage, or objects in which any key will do."""
WRONG = ({"an": "object"}, [["a", "list"]], ...)
"""No field is of these types, and few may be missing."""


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    return line


def test_all_commands_are_here() -> None:
    assert COMMAND_LINES.keys() == COMMANDS.keys() - READS_NO_BUNDLE


@pytest.mark.parametrize("command", COMMAND_LINES)
def test_a_changed_bundle_json_is_one_line_for_every_command(
    command: str, bundle: Path, call: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    file = bundle / "bundle.json"
    text = file.read_text()
    content = json.loads(text)
    tried = 0
    try:
        for at, value in itertools.product(places(content), WRONG):
            shorter = value is ... and (at[-1] in OPTIONAL or isinstance(at[-1], int))
            if shorter or DERIVED.intersection(at):
                continue
            file.write_text(json.dumps(changed(content, at, value)))
            assert call(command) == 1, (at, value)
            line = one_line(capsys)
            assert line.startswith("tinysight: "), (at, value)
            assert len(line) < 500
            tried += 1
    finally:
        file.write_text(text)
    assert tried > 80


@pytest.mark.parametrize("command", READS_PROVENANCE)
def test_a_changed_provenance_is_one_line_for_every_command_that_reads_it(
    command: str, bundle: Path, call: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    file, description = bundle / PROVENANCE, bundle / "bundle.json"
    text, described = file.read_text(), description.read_text()
    content = json.loads(text)
    tried = 0
    try:
        for at in places(content):
            if FOREIGN.intersection(at) or DERIVED.intersection(at):
                continue
            new = json.dumps(changed(content, at, [["a", "list"]])).encode()
            file.write_bytes(new)
            record = {"sha256": hashlib.sha256(new).hexdigest(), "bytes": len(new)}
            description.write_text(json.dumps({**json.loads(described), "provenance": record}))
            assert call(command) == 1, at
            assert PROVENANCE in one_line(capsys)
            tried += 1
    finally:
        file.write_text(text)
        description.write_text(described)
    assert tried > 80
