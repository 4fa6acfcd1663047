"""`tinysight verify` beyond the plain case: what it counts, and the proof of the data."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tinysight import load_bundle
from tinysight.cli.main import main
from tinysight.provenance import IndexSet, require_provenance, write_description

Verify = Callable[[Path], tuple[int, dict[str, Any]]]


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    def call(folder: Path) -> tuple[int, dict[str, Any]]:
        code = main(["verify", "--json", "--bundle", str(folder)])
        return code, json.loads(capsys.readouterr().out)

    return call


def test_it_counts_the_inputs_and_those_with_the_same_first_class(
    verify: Verify, tiny: Path
) -> None:
    code, result = verify(tiny)
    assert code == 0
    (check,) = result["checks"]
    assert (check["inputs"], check["same_top1"]) == (32, 32)
    assert "on all 32 golden answers, the same class first on 32" in result["verdict"]


def test_a_bundle_may_have_fewer_golden_answers(
    verify: Verify, spoilt: Callable[..., Path], tiny: Path
) -> None:
    kept = json.loads((tiny / "bundle.json").read_text())["artifacts"][0]["golden"]
    code, result = verify(spoilt({"golden": {**kept, "logits": kept["logits"][:8]}}))
    assert code == 0
    assert result["checks"][0]["inputs"] == 8


def test_the_record_of_the_splits_is_checked(verify: Verify, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shipped = load_bundle("edge_s")
    shutil.copytree(shipped.folder or "", folder)
    code, result = verify(folder)
    assert code == 0
    assert result["data"]["detail"].startswith("49,000 training, 1,000 validation and 10,000 test")
    provenance = require_provenance(shipped)
    splits = provenance.data.splits
    assert splits is not None
    leaked = dataclasses.replace(splits, test=IndexSet(splits.test.n + 1, splits.test.sha256))
    data = dataclasses.replace(provenance.data, splits=leaked)
    write_description(folder, shipped, dataclasses.replace(provenance, data=data))
    code, result = verify(folder)
    assert code == 1
    assert result["data"] == {
        "ok": False,
        "detail": "the test images are not those whose hash is recorded",
    }
    assert "must not be used" in result["verdict"]


def test_without_golden_answers_it_does_not_claim_any(
    verify: Verify, spoilt: Callable[..., Path]
) -> None:
    code, result = verify(spoilt({"golden": None}))
    assert code == 0
    assert "no golden answers were kept" in result["verdict"]
