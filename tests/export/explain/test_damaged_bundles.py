"""`explain` of a bundle with any field damaged: still explained, or one line and exit code 1."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from export.cli import main
from export.explain import explain
from export.explain.peak_throughput import Peak
from training.run_folder import Run

Place = tuple[str | int, ...]
"""The keys that lead to a value of a JSON document."""


@pytest.fixture(scope="module")
def bundle(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("damaged") / "bundle"
    command = ["build", str(run.folder), "--out", str(out), "--formats", "onnx"]
    assert main([*command, "--recipes", "static_w8a8"]) == 0
    return out


def places(content: Any, place: Place = ()) -> Iterator[Place]:
    """Every value of a JSON document but the document itself; of a list, its first entry."""
    if place:
        yield place
    if isinstance(content, dict):
        for key, value in content.items():
            yield from places(value, (*place, key))
    elif isinstance(content, list) and content:
        yield from places(content[0], (*place, 0))


def replace(container: Any, key: str | int) -> None:
    container[key] = {"unheard_of": []}


def remove(container: Any, key: str | int) -> None:
    del container[key]


def write(folder: Path, file: str, content: Any) -> None:
    """Writes a description; a bundle whose hashes hold, so that only the content is damaged."""
    text = json.dumps(content).encode()
    (folder / file).write_bytes(text)
    if file != "bundle.json":
        bundle = json.loads((folder / "bundle.json").read_text())
        bundle["provenance"] = {"sha256": hashlib.sha256(text).hexdigest(), "bytes": len(text)}
        (folder / "bundle.json").write_text(json.dumps(bundle))


@pytest.mark.parametrize("file", ["bundle.json", "provenance.json"])
@pytest.mark.parametrize("damage", [replace, remove])
def test_a_damaged_field_is_one_line_or_does_not_matter(
    bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    damage: Callable[[Any, str | int], None],
) -> None:
    # A second of measuring that no field of a bundle has a part in.
    monkeypatch.setattr(explain, "measure_peak", lambda: Peak(1e5, 4e5))
    text = (bundle / file).read_text()
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    refused = 0
    for place in places(json.loads(text)):
        container = content = json.loads(text)
        for key in place[:-1]:
            container = container[key]
        damage(container, place[-1])
        write(copy, file, content)
        code = main(["explain", str(copy), "--runs", "1"])
        printed = capsys.readouterr()
        assert code in (0, 1), place
        assert printed.err.count("\n") == code, (place, printed.err)
        assert bool(printed.out) == (code == 0), place
        refused += code
    assert refused > 15


@pytest.mark.parametrize("kept", [0, 100, 0.5])
def test_an_artifact_that_is_no_model_is_one_line(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kept: float
) -> None:
    """Truncated, with a description that says so: the hashes hold."""
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    content = json.loads((copy / "bundle.json").read_text())
    (artifact,) = content["artifacts"]
    model = (copy / artifact["file"]).read_bytes()
    part = model[: int(len(model) * kept) if kept < 1 else int(kept)] or b"no model"
    (copy / artifact["file"]).write_bytes(part)
    artifact.update(bytes=len(part), sha256=hashlib.sha256(part).hexdigest())
    (copy / "bundle.json").write_text(json.dumps(content))
    assert main(["explain", str(copy), "--runs", "1"]) == 1
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert printed.out == ""
