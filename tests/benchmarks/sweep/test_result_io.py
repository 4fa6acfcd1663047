"""Result files: what is written is what is read; an old or damaged one is one clear line."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.sweep import result_io
from benchmarks.sweep.result import SweepResult
from benchmarks.sweep.result_io import read, write
from tests.benchmarks.make_result import make_result
from tinysight.benchmark import results_io
from tinysight.benchmark.results_io import ResultError, document_text
from tinysight.records import to_json


def test_what_is_written_is_read(measured: SweepResult, tmp_path: Path) -> None:
    write(measured, tmp_path / result_io.NAME)
    again = read(tmp_path)
    assert to_json(again) == to_json(measured)
    first, second = again.measurements[0].samples_ns[1], measured.measurements[0].samples_ns[1]
    assert np.array_equal(first, second)
    before = (tmp_path / result_io.NAME).read_bytes()
    write(again, tmp_path / result_io.NAME)
    assert (tmp_path / result_io.NAME).read_bytes() == before


Document = dict[str, Any]


def damaged(change: Callable[[Document], object]) -> bytes:
    text = document_text(make_result({"float32": 10}), result_io.KIND, result_io.FORMAT)
    content = json.loads(text)
    change(content)
    return json.dumps(content).encode()


KEY = "m/float32@onnxruntime"
DAMAGE = {
    "no JSON": (b"{", "damaged"),
    "cut short": (gzip.compress(damaged(lambda c: None))[:200], "damaged"),
    "a list": (b"[]", "not a JSON object"),
    "another kind": (b'{"kind": "explain", "format": 1}', "of the kind 'explain'"),
    "no kind": (b"{}", "of the kind None"),
    "no format": (b'{"kind": "sweep"}', "format None"),
    "an old format": (damaged(lambda c: c.update(format=3)), "measure again"),
    "an unknown key": (damaged(lambda c: c.update(more=1)), "unknown key 'more'"),
    "a missing part": (damaged(lambda c: c.pop("measurements")), "measurements is missing"),
    "a text for a time": (damaged(lambda c: c["measurements"][0]["samples_ns"][0].append("1")),
                          r"measurements\[0\].samples_ns\[0\]"),
    "a time of 0": (damaged(lambda c: c["measurements"][0]["samples_ns"][0].append(0)),
                    "above 0 ns"),
    "an endless time": (damaged(lambda c: c["measurements"][0]["samples_ns"][0].append(1 << 70)),
                        "64 bits"),
    "a picture without height": (damaged(lambda c: c["data"].update(shape=[0, 32])),
                                 "1 to 1024 pixels"),
    "a class too many": (damaged(lambda c: c["data"]["targets"].append(3)), "class indices"),
    "a negative class": (damaged(lambda c: c["predictions"][KEY].__setitem__(0, -1)),
                         "class indices"),
    "a prediction too few": (damaged(lambda c: c["predictions"][KEY].pop()), "every image"),
    "no predictions": (damaged(lambda c: c.update(predictions={})), "predictions must be there"),
    "predictions of nothing": (damaged(lambda c: c.update(data=None)), "predictions must be there"),
    "a measurement of nothing": (damaged(lambda c: c["measurements"][0].update(variant="x")),
                                 "not those of the variants"),
    "a measurement twice": (damaged(lambda c: c["measurements"].append(c["measurements"][0])),
                            "there twice"),
    "too many correct": (damaged(lambda c: c["variants"][0]["accuracy"].update(correct=201)),
                         "201 correct of 200"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_result_is_one_line(name: str, tmp_path: Path) -> None:
    content, message = DAMAGE[name]
    (tmp_path / result_io.NAME).write_bytes(content)
    with pytest.raises(ResultError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_result_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_io, "MAX_BYTES", 1000)
    (tmp_path / result_io.NAME).write_bytes(gzip.compress(b" " * 5000))
    with pytest.raises(ResultError, match="more than 1,000 bytes"):
        read(tmp_path)


def test_no_result_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="no such result"):
        read(tmp_path)


def test_what_a_device_measured_is_read_as_a_sweep_without_data(benched: Path) -> None:
    result = read(benched)
    assert result.benchmark is not None
    assert [measurement.key for measurement in result.measurements] == [
        ("tiny/float32@onnxruntime", 1, 1),
        ("tiny/float32@onnxruntime", 1, 4),
    ]
    content = json.loads(benched.read_text())
    samples = content["measurements"][0]["samples_ns"][0]
    assert np.array_equal(result.measurements[0].samples_ns[0], samples)
    assert result.data is None
    assert result.predictions == {}
