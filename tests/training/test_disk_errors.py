"""A full disk is one line that says what to do, in whatever words a library tells it."""

import errno
from pathlib import Path

import numpy as np
import pytest

from tinysight.errors import TinysightError
from tinysight.files import sole_writer_inside
from training.cli import main
from training.disk_errors import clear_disk_errors

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full, which Linux has")


@needs_full
def test_numpys_error() -> None:
    with pytest.raises(TinysightError, match="run: no space left on the disk: free some"):  # noqa: SIM117
        with clear_disk_errors(Path("run"), "free some"), FULL.open("wb", buffering=0) as stream:
            np.save(stream, np.zeros(100_000))


@needs_full
def test_tensorflows_error() -> None:
    tf = pytest.importorskip("tensorflow")
    line = "run: no space left on the disk"
    with pytest.raises(TinysightError, match=line), clear_disk_errors(Path("run"), "free some"):
        tf.io.write_file(str(FULL), b"0" * 100_000)


def test_a_quota_is_named() -> None:
    with pytest.raises(TinysightError, match="quota"), clear_disk_errors(Path("run"), "free some"):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(KeyError), clear_disk_errors(Path("run"), "free some"):
        raise KeyError("other")


def test_two_trainings_do_not_share_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorflow")
    out = tmp_path / "run"
    for choice in ("--overwrite", "--resume"):
        with sole_writer_inside(out):
            assert main(["run", "baseline", "--out", str(out), choice]) == 1
        assert "run is being written by another process" in capsys.readouterr().err
