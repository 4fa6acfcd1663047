"""`python -m benchmarks browser`: a bundle in a real Chromium."""

import json
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from benchmarks.cli import main
from export.web.onnxruntime_web import TARBALL
from tests.chromium import launched
from tinysight.files import cache_folder

TINY = Path(__file__).parents[2] / "tiny" / "bundle"
DOWNLOADED = cache_folder() / "downloads" / TARBALL


@pytest.mark.parametrize("change", [0.0, 0.01])
def test_it_tells_whether_the_golden_answers_agree(
    change: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not DOWNLOADED.is_file():
        pytest.skip("onnxruntime-web is not in the cache: `make browser` downloads it")
    with launched():
        """There is a Chromium; else the test is skipped."""
    content = json.loads((TINY / "bundle.json").read_text())
    content["artifacts"][0]["golden"]["logits"][3][1] += change
    (tmp_path / "bundle.json").write_text(json.dumps(content))
    (tmp_path / "float32.onnx").write_bytes((TINY / "float32.onnx").read_bytes())
    words = ["browser", str(tmp_path), "--json", "--onnxruntime-web", str(DOWNLOADED)]
    assert main(words) == (1 if change else 0)
    result = json.loads(capsys.readouterr().out)
    assert result["bundle"] == "tiny"
    assert (result["golden_inputs"], result["same_top1"]) == (32, 32)
    assert (result["max_relative_error"] > result["tolerance"]) == bool(change)
    assert 0 < result["median_ms"] <= result["p95_ms"] <= result["p99_ms"]
