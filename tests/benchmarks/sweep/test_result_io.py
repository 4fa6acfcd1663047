"""Result files: what is written is what is read; an old or damaged one is one clear line."""

import gzip
import json

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("ai_edge_litert")
jsonschema = pytest.importorskip("jsonschema")

from benchmarks.cli import main
from benchmarks.sweep import result_io
from benchmarks.sweep.result_io import ResultError, as_json, read, write
from tests.benchmarks.make_result import make_result


def test_the_schema_is_one():
    for schema in result_io.SCHEMAS.glob("*.json"):
        jsonschema.Draft202012Validator.check_schema(json.loads(schema.read_text()))


def test_what_is_written_is_read(measured, tmp_path):
    write(measured, tmp_path / result_io.NAME)
    again = read(tmp_path)
    assert as_json(again) == as_json(measured)
    assert np.array_equal(again.measurements[0].passes[1], measured.measurements[0].passes[1])
    before = (tmp_path / result_io.NAME).read_bytes()
    write(again, tmp_path / result_io.NAME)
    assert (tmp_path / result_io.NAME).read_bytes() == before


def damaged(change):
    content = as_json(make_result({"float32": 10}))
    change(content)
    return json.dumps(content).encode()


DAMAGE = {
    "no JSON": (b"{", "damaged"),
    "cut short": (gzip.compress(damaged(lambda c: None))[:200], "damaged"),
    "a list": (b"[]", "not a JSON object"),
    "another kind": (b'{"kind": "explain", "format": 1}', "neither a sweep's nor a bench's"),
    "no format": (b'{"kind": "sweep"}', "names no kind and format"),
    "an old format": (damaged(lambda c: c.update(format=1)), "measure again"),
    "a missing part": (damaged(lambda c: c.pop("cells")), "'cells' is a required"),
    "a text for a time": (damaged(lambda c: c["cells"][0]["passes_ns"][0].append("1")),
                          r"\$.cells\[0\].passes_ns\[0\]\[50\]"),
    "a time of 0": (damaged(lambda c: c["cells"][0]["passes_ns"][0].append(0)), "minimum of 1"),
    "an endless time": (damaged(lambda c: c["cells"][0]["passes_ns"][0].append(1 << 70)), "large"),
    "a class too many": (damaged(lambda c: c["data"]["targets"].append(3)), "class index above 2"),
    "an answer too few": (damaged(lambda c: c["entries"][0]["answers"].pop()), "every image"),
    "a cell of nobody": (damaged(lambda c: c["cells"][0].update(variant="x")), "belong together"),
    "a cell twice": (damaged(lambda c: c["cells"].append(c["cells"][0])), "there twice"),
    "answers to nothing": (damaged(lambda c: c.update(data=None)), "to no images"),
    "all right but one": (damaged(lambda c: c["entries"][0]["accuracy"].update(correct=201)),
                          "201 correct of 200"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_result_is_one_line(name, tmp_path):
    content, message = DAMAGE[name]
    (tmp_path / result_io.NAME).write_bytes(content)
    with pytest.raises(ResultError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_result_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(result_io, "MAX_BYTES", 1000)
    (tmp_path / result_io.NAME).write_bytes(gzip.compress(b" " * 5000))
    with pytest.raises(ResultError, match="more than 1,000 bytes"):
        read(tmp_path)


def test_no_result_is_one_line(tmp_path, capsys):
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "no such result" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
