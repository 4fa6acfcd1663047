"""SIGKILL at any moment leaves a run that --resume finishes, to the bit."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow")
sys.path.insert(0, str(Path(__file__).parent))

import interrupt


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken") / "run"
    interrupt.finalize(out)
    return interrupt.result(out)


def test_killed_three_times_ends_bit_identical(tmp_path, unbroken):
    """Before the first checkpoint, while one is being written, and after one."""
    out = tmp_path / "run"
    checkpoints = out / "checkpoints"
    moments = {
        "before the first checkpoint": lambda: (out / "run.json").exists(),
        "while one is written": lambda: any(checkpoints.glob(".epoch-0001.*")),
        "after one": lambda: (checkpoints / "epoch-0002").exists(),
    }
    for name, moment in moments.items():
        assert interrupt.kill_when(out, moment), f"the run ended before: {name}"
    interrupt.finalize(out)
    assert interrupt.result(out) == unbroken
    assert not checkpoints.exists()


def test_half_written_checkpoint_is_never_picked_up(tmp_path, unbroken):
    """A folder that was not renamed into place is left alone, whatever it holds."""
    out = tmp_path / "run"
    assert interrupt.kill_when(out, lambda: (out / "checkpoints" / "epoch-0001").exists())
    half = out / "checkpoints" / ".epoch-0002.abcdef"
    half.mkdir(exist_ok=True)
    (half / "state.index").write_bytes(b"half")
    interrupt.finalize(out)
    assert interrupt.result(out) == unbroken
