"""The committed tiny bundle is what its generator writes."""

import runpy
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_generating_again_gives_the_committed_bundle(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    runpy.run_path(str(HERE / "generate.py"))["main"](tmp_path / "bundle")
    made = {path.name: path.read_bytes() for path in (tmp_path / "bundle").iterdir()}
    kept = {path.name: path.read_bytes() for path in (HERE / "bundle").iterdir()}
    assert made == kept
    assert sum(map(len, kept.values())) < 8_000
