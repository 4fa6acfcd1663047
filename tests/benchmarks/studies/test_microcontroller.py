"""Memory and answers of the shipped bundle in TensorFlow Lite Micro."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")
pytest.importorskip("tflite_micro", reason="tflite-micro is not installed (extra mcu)")

from benchmarks.cli import main
from benchmarks.studies.microcontroller import measure_microcontroller
from benchmarks.studies.out_of_distribution import photo_parts
from tinysight import load_bundle

TINY = Path(__file__).parents[2] / "tiny" / "bundle_litert"


def test_the_table_is_of_all_bundles(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mcu", "edge_s", "edge_m", "--json"]) == 0
    small, medium = json.loads(capsys.readouterr().out)
    assert small["bundle"] == "edge_s"
    assert small["flash_bytes"] < medium["flash_bytes"]
    # The stem's 16 x 16 x 32 and the next layer's live together.
    assert 2 * 16 * 16 * 32 < small["arena_bytes"] < medium["arena_bytes"]
    assert small["answers"] is None
    assert main(["mcu", "edge_s"]) == 0
    assert "arena KB" in capsys.readouterr().out


def test_the_answers_are_litert_s() -> None:
    images = photo_parts(np.random.default_rng(0), 30, 32, 32)
    told: list[tuple[str, int, int]] = []
    figures = measure_microcontroller(
        load_bundle("edge_m"), images, np.zeros(30, np.int64), lambda *words: told.append(words)
    )
    answers = figures.answers
    assert answers is not None
    assert told == [("edge_m:", 0, 30)]
    assert answers.accuracy.n == 30
    # The reference kernels differ in the rounding of the dense layer alone.
    assert answers.litert_reference.max_steps <= 1
    assert answers.litert_reference.equal_logits > 0.95
    assert answers.litert_reference.same_top1 >= 29
    assert answers.litert.max_steps <= 6
    assert answers.litert.same_top1 >= 27


def test_a_bundle_without_an_int8_artifact_is_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["mcu", str(TINY)]) == 1
    error = capsys.readouterr().err
    assert "tiny_litert has no .tflite artifact that computes in int8" in error
    assert error.count("\n") == 1
