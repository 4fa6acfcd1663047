"""The README's figures are those of benchmarks/results."""

from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("ai_edge_litert")

from benchmarks.cli import main
from benchmarks.publish.readme_figures import update_figures
from benchmarks.sweep import result_io
from tests.benchmarks.make_result import make_result
from tinysight.errors import TinysightError

README = Path(__file__).parents[3] / "README.md"
FIRST_MEDIAN = "<!-- figures:family/median/edge_s/static_w8a8@onnxruntime -->"


def test_the_readme_has_the_figures_of_the_results() -> None:
    text = README.read_text(encoding="utf-8")
    assert update_figures(text) == text, "`python -m benchmarks readme` updates them"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    result = make_result({"float32": 50, "int8": 25})
    (tmp_path / "today").mkdir()
    result_io.write(result, tmp_path / "today" / result_io.NAME)
    return tmp_path


def test_figures_within_a_line_and_blocks_are_updated(results: Path) -> None:
    old = (
        "It is <!-- figures:today/accuracy/m/int8@onnxruntime -->1%<!-- end --> in "
        "<!-- figures:today/median/m/int8@onnxruntime --><!-- end --> us, "
        "<!-- figures:today/interval/m/int8@onnxruntime --><!-- end -->, on "
        "<!-- figures:today/device -->another<!-- end -->.\n\n"
        "<!-- figures:today/table -->\n<!-- end -->\n"
        "<!-- figures:today/command -->\n<!-- end -->\n"
    )
    new = update_figures(old, results)
    assert new.startswith("It is <!-- figures:today/accuracy/m/int8@onnxruntime -->90.00%<!-- end")
    assert "-->85.1% to 93.4%<!-- end -->, on <!-- figures:today/device -->a CPU<!-- end" in new
    assert "| m/`int8`, onnxruntime (Pareto front) | 90.00% (85.1% to 93.4%) | 25.0 |" in new
    assert "-->\n```\npython -m benchmarks sweep m\n```\n<!-- end -->" in new
    assert update_figures(new, results) == new


def test_check_changes_nothing_and_fails_when_they_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the README's own figures, one of which is spoilt."""
    good = README.read_text(encoding="utf-8")
    before, after = good.split(FIRST_MEDIAN, 1)
    spoilt = f"{before}{FIRST_MEDIAN}0{after}"
    file = tmp_path / "README.md"
    file.write_text(spoilt, encoding="utf-8")
    assert main(["readme", str(file), "--check"]) == 1
    assert "other figures" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == spoilt
    assert main(["readme", str(file)]) == 0
    assert file.read_text(encoding="utf-8") == good
    assert main(["readme", str(file), "--check"]) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- figures:today/table -->", "no <!-- end -->"),
        ("<!-- figures:today/kb --><!-- figures:today/table --><!-- end -->", "before the next"),
        ("<!-- figures:today/speed --><!-- end -->", "no such figure"),
        ("<!-- figures:today/median/m/x@y --><!-- end -->", "that result has no m/x@y"),
        ("<!-- figures:../table --><!-- end -->", "no folder of results"),
        ("<!-- figures:gone/table --><!-- end -->", "no such result"),
    ],
)
def test_a_wrong_marker_is_one_line(text: str, message: str, results: Path) -> None:
    with pytest.raises(TinysightError, match=message):
        update_figures(text, results)
