"""The command line of `python -m tests.fuzz.updates`, as `make fuzz` calls it."""

from functools import partial

import pytest

from tests.fuzz import updates


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One swap, and a kill in the middle of pull and of rollback: all of them take a minute."""
    some = partial(updates.kill_everywhere, moments=lambda last: last in (3, 99))
    monkeypatch.setattr(updates, "kill_everywhere", some)
    monkeypatch.setattr(updates, "_SWAPS", 1)


def test_a_count_alone_runs_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert updates.main(["--count", "12"]) == 0
    signatures, swaps, kills = capsys.readouterr().out.splitlines()
    assert signatures == "12 changes to a signed bundle: 0 accepted"
    assert swaps.startswith("1 versions taken, ")
    assert kills == "2 kills of pull and rollback: 0 findings"


def test_one_kind_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert updates.main(["signatures", "--count", "5", "--seed", "7"]) == 0
    assert capsys.readouterr().out == "5 changes to a signed bundle: 0 accepted\n"
