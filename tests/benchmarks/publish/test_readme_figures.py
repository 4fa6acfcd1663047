"""The README's figures are those of benchmarks/results."""

from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("jsonschema")

from benchmarks.cli import main
from benchmarks.publish import readme_figures
from benchmarks.publish.readme_figures import renewed
from benchmarks.sweep import result_io
from tests.benchmarks.make_result import make_result
from tinysight.errors import TinysightError

README = Path(__file__).parents[3] / "README.md"


def test_the_readme_has_the_figures_of_the_results():
    text = README.read_text(encoding="utf-8")
    assert renewed(text) == text, "`python -m benchmarks readme` renews them"


@pytest.fixture
def results(tmp_path, monkeypatch):
    result = make_result({"float32": 50, "int8": 25})
    (tmp_path / "today").mkdir()
    result_io.write(result, tmp_path / "today" / result_io.NAME)
    monkeypatch.setattr(readme_figures, "RESULTS", tmp_path)
    return tmp_path


def test_figures_within_a_line_and_blocks_are_renewed(results):
    old = (
        "It is <!-- figures:today/accuracy/m/int8@onnxruntime -->1%<!-- end --> in "
        "<!-- figures:today/median/m/int8@onnxruntime --><!-- end --> us.\n\n"
        "<!-- figures:today/table -->\n<!-- end -->\n"
    )
    new = renewed(old, results)
    assert new.startswith("It is <!-- figures:today/accuracy/m/int8@onnxruntime -->90.00%<!-- end")
    assert "| m/`int8`, onnxruntime (front) | 90.00% (85.1% to 93.4%) | 25.0 |" in new
    assert renewed(new, results) == new


def test_check_changes_nothing_and_fails_when_they_disagree(results, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("benchmarks.publish.readme_figures.renewed.__defaults__", (results,))
    text = tmp_path / "README.md"
    text.write_text("<!-- figures:today/kb/m/int8@onnxruntime -->7<!-- end --> KB\n")
    assert main(["readme", str(text), "--check"]) == 1
    assert "other figures" in capsys.readouterr().err
    assert main(["readme", str(text)]) == 0
    assert text.read_text() == "<!-- figures:today/kb/m/int8@onnxruntime -->1<!-- end --> KB\n"
    assert main(["readme", str(text), "--check"]) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- figures:today/table -->", "no <!-- end -->"),
        ("<!-- figures:today/kb --><!-- figures:today/table --><!-- end -->", "before the next"),
        ("<!-- figures:today/speed --><!-- end -->", "no such figure"),
        ("<!-- figures:today/median/m/x@y --><!-- end -->", "that result has no m/x@y"),
        ("<!-- figures:../table --><!-- end -->", "no such result|no folder"),
        ("<!-- figures:gone/table --><!-- end -->", "no such result"),
    ],
)
def test_a_wrong_marker_is_one_line(text, message, results):
    with pytest.raises(TinysightError, match=message):
        renewed(text, results)
