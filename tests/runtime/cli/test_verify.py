"""`tinysight verify` beyond the plain case: what it counts, and the proof of the data."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinysight.cli.main import main
from tinysight.integrity.data_split import record

SETS = {
    "train": np.arange(60),
    "calibration": np.arange(8),
    "val": np.arange(60, 80),
    "test": np.arange(80, 100),
}


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Callable[[Path], tuple[int, dict[str, Any]]]:
    def call(folder: Path) -> tuple[int, dict[str, Any]]:
        code = main(["verify", "--json", str(folder)])
        return code, json.loads(capsys.readouterr().out)

    return call


def test_it_counts_the_inputs_and_those_with_the_same_first_class(verify, tiny) -> None:  # type: ignore[no-untyped-def]
    code, result = verify(tiny)
    assert code == 0
    (check,) = result["checks"]
    assert (check["inputs"], check["same_top1"]) == (32, 32)
    assert "on all 32 golden answers, the same class first on 32" in result["verdict"]


def test_a_bundle_with_eight_golden_answers_still_verifies(verify, spoilt, tiny) -> None:  # type: ignore[no-untyped-def]
    kept = json.loads((tiny / "bundle.json").read_text())["artifacts"][0]["golden"]
    code, result = verify(spoilt({"golden": {**kept, "logits": kept["logits"][:8]}}))
    assert code == 0
    assert result["checks"][0]["inputs"] == 8


def test_the_proof_of_the_data_is_checked(verify, spoilt) -> None:  # type: ignore[no-untyped-def]
    code, result = verify(spoilt(data=record(SETS, 100)))
    assert code == 0
    assert result["data"]["detail"].startswith("60 training, 20 validation and 20 test images")
    leaked = record(SETS, 100)
    leaked["splits"]["test"]["n"] = 21
    code, result = verify(spoilt(data=leaked))
    assert code == 1
    assert result["data"] == {
        "ok": False,
        "detail": "the test images are not those whose hash is recorded",
    }
    assert "must not be used" in result["verdict"]


def test_without_golden_answers_it_does_not_claim_any(verify, spoilt) -> None:  # type: ignore[no-untyped-def]
    code, result = verify(spoilt({"golden": None}))
    assert code == 0
    assert "no golden answers were kept" in result["verdict"]
