"""A device's own result: read strictly, and shown beside sweeps."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("jinja2")

from benchmarks.cli import main
from benchmarks.report.html_page import page
from benchmarks.sweep.compare import pair
from benchmarks.sweep.result_io import read
from tests.benchmarks.make_result import make_result
from tinysight.benchmark.results_io import ResultError

Change = Callable[[Any], object]
"""Changes a document in place."""


@pytest.fixture
def content(benched: Path) -> Any:
    return json.loads(benched.read_text())


@pytest.fixture
def changed(content: Any, tmp_path: Path) -> Callable[[Change], Path]:
    """Writes the document after a change."""

    def write(change: Change) -> Path:
        change(content)
        file = tmp_path / "changed.json"
        file.write_text(json.dumps(content))
        return file

    return write


def test_it_is_read_as_a_result(benched: Path, content: Any) -> None:
    result = read(benched)
    assert result.benchmark is not None
    assert [measurement.key for measurement in result.measurements] == [
        ("tiny/float32@onnxruntime", 1, 1),
        ("tiny/float32@onnxruntime", 1, 4),
    ]
    samples = content["measurements"][0]["samples_ns"][0]
    assert np.array_equal(result.measurements[0].samples_ns[0], samples)
    assert result.data is None


def test_it_enters_the_report_beside_a_sweep(swept: Path, benched: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["report", str(swept), str(benched), "--out", str(out)]) == 0
    text = (out / "report.html").read_text()
    assert "On the device" in text
    assert "first answer" in text
    assert "crop and resize" in text
    assert "Two dates, one device" in text
    markdown = (out / "report.md").read_text()
    assert "| artifact | process | import |" in markdown
    assert "tinysight bench --bundle bundle" in markdown
    assert len(pair(read(swept), read(benched))) == 2


def test_without_an_accuracy_there_is_no_pareto_front(
    benched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(benched), "--out", str(tmp_path)]) == 0
    assert "report.html, report.md\n" in capsys.readouterr().out
    assert not (tmp_path / "pareto_front.png").exists()
    assert "pareto_front.png" not in (tmp_path / "report.md").read_text()


def test_an_accuracy_makes_a_pareto_front(
    changed: Callable[[Change], Path], tmp_path: Path
) -> None:
    accuracy = {"correct": 68, "n": 100, "value": 0.68, "interval": [0.58, 0.76]}
    file = changed(lambda c: c["variants"][0].update(accuracy=accuracy, accuracy_source="measured"))
    assert main(["report", str(file), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "pareto_front.png").exists()
    assert "accuracy measured on the device" in (tmp_path / "out" / "report.html").read_text()


def test_warnings_are_shown_and_no_text_becomes_markup(
    changed: Callable[[Change], Path],
) -> None:
    file = changed(lambda c: c["warnings"].append("busy: <script>alert(1)</script>"))
    text = page([make_result({"float32": 50}), read(file)], "t")
    assert "Warning:" in text
    assert "busy: &lt;script&gt;" in text
    assert "<script>alert" not in text


DAMAGE: dict[str, tuple[Change, str]] = {
    "an unknown key": (lambda c: c.update(more=1), "unknown key 'more'"),
    "a later format": (lambda c: c.update(format=3), "measure again"),
    "a latency of 0": (lambda c: c["measurements"][0]["samples_ns"][0].append(0), "above 0 ns"),
    "an unknown variant": (lambda c: c["measurements"][0].update(variant="x"), "not those of the"),
    "one twice": (lambda c: c["measurements"].append(c["measurements"][0]), "there twice"),
    "no thread": (lambda c: c["cold_starts"][0].update(threads=0), "need a run, and a thread"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_one_is_one_line(name: str, changed: Callable[[Change], Path]) -> None:
    change, message = DAMAGE[name]
    with pytest.raises(ResultError, match=message) as caught:
        read(changed(change))
    assert "\n" not in str(caught.value)
