"""`python -m benchmarks browser`: bundles in a real Chromium."""

import json
from pathlib import Path

import pytest

from benchmarks.cli import main
from export.web.onnxruntime_web import TARBALL
from tests.chromium import skip_without_chromium
from tinysight.files import cache_folder

TINY = Path(__file__).parents[2] / "tiny" / "bundle"
# The user's own cache, asked before the tests are given one of their own.
DOWNLOADED = cache_folder() / "downloads" / TARBALL


def test_it_tells_which_golden_answers_agree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skip_without_chromium()
    if not DOWNLOADED.is_file():
        pytest.skip("onnxruntime-web is not in the cache: `make browser` downloads it")
    content = json.loads((TINY / "bundle.json").read_text())
    content["artifacts"][0]["golden"]["logits"][3][1] += 0.01
    (tmp_path / "bundle.json").write_text(json.dumps(content))
    (tmp_path / "float32.onnx").write_bytes((TINY / "float32.onnx").read_bytes())
    words = ["browser", str(TINY), str(tmp_path), "--json", "--onnxruntime-web", str(DOWNLOADED)]
    assert main(words) == 1
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [result["golden_ok"] for result in results] == [True, False]
    for result in results:
        assert (result["golden_inputs"], result["same_top1"]) == (32, 32)
        assert 0 < result["median_ms"] <= result["p95_ms"] <= result["p99_ms"]
