"""Some of the hostile bundles that `python -m tests.fuzz.bundles` makes by the thousand."""

import shutil
from pathlib import Path

import pytest

from tests.fuzz.bundles import fuzz
from tests.fuzz.mutations.crafted import CRAFTED
from tinysight import load_bundle
from tinysight.cli.main import main

pytest.importorskip("ai_edge_litert")


def test_nothing_but_answers_and_typed_errors_come_of_hostile_bundles() -> None:
    report = fuzz(40, seed=7)
    assert report.tried == 40
    assert report.loaded > 0
    assert report.findings == 0, report


@pytest.mark.parametrize("name", CRAFTED)
def test_what_was_made_to_harm_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(load_bundle("edge_s").folder or "", folder)
    CRAFTED[name](folder)
    assert main(["verify", "--bundle", str(folder)]) == 1
    said = capsys.readouterr()
    assert "FAIL" in said.out or len(said.err.splitlines()) == 1
