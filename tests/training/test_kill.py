"""SIGKILL at any moment leaves a run that --resume finishes, to the bit."""

from pathlib import Path

import pytest

pytest.importorskip("tensorflow")

from tests.training import interrupt


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("unbroken") / "run"
    interrupt.finalize(out)
    return interrupt.result(out)


def test_killed_three_times_ends_bit_identical(tmp_path: Path, unbroken: dict[str, bytes]) -> None:
    out = tmp_path / "run"
    checkpoints = out / "checkpoints"
    interrupt.kill_at(out, "before the first checkpoint")
    assert (out / "run.json").exists()
    assert not checkpoints.exists()
    interrupt.kill_at(out, "while one is written")
    assert [path.name[:12] for path in checkpoints.iterdir()] == [".epoch-0001."]
    interrupt.kill_at(out, "after the first")
    assert [path.name for path in checkpoints.iterdir()] == ["epoch-0001"]
    interrupt.finalize(out)
    assert interrupt.result(out) == unbroken
    assert not checkpoints.exists()


def test_half_written_checkpoint_is_never_picked_up(
    tmp_path: Path, unbroken: dict[str, bytes]
) -> None:
    """A folder that was not renamed into place is ignored, whatever it holds."""
    out = tmp_path / "run"
    interrupt.kill_at(out, "after the first")
    half = out / "checkpoints" / ".epoch-0002.abcdef"
    half.mkdir()
    (half / "state.index").write_bytes(b"half")
    interrupt.finalize(out)
    assert interrupt.result(out) == unbroken
