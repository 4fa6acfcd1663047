"""Either the old state or the new one, and nothing left lying about."""

import os
import stat
from pathlib import Path

import pytest

from tinysight.files import new_folder, read_regular, write_bytes


class Interrupted(BaseException):
    """Like Ctrl-C: no Exception, so that `except Exception` does not stop it."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_bytes(file, b"old")
    write_bytes(file, b"new")
    assert file.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]
    assert stat.S_IMODE(file.stat().st_mode) & 0o444 == 0o444


@pytest.mark.parametrize("step", ["replace", "chmod"])
def test_a_file_whose_writing_fails_stays_as_it_was(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    write_bytes(file, b"old")

    def interrupted(*_: object) -> None:
        raise Interrupted

    monkeypatch.setattr(Path, step, interrupted)
    with pytest.raises(Interrupted):
        write_bytes(file, b"new")
    assert file.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_folder_appears_when_its_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "above" / "folder"
    with new_folder(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_bytes(b"1")
        assert not target.exists()
    assert (target / "sub" / "file").read_bytes() == b"1"
    assert names(tmp_path / "above") == ["folder"]
    assert stat.S_IMODE(target.stat().st_mode) & 0o555 == 0o555


def test_an_existing_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileExistsError), new_folder(tmp_path / "folder"):
        pytest.fail("the block was run")
    assert names(tmp_path) == ["folder"]


def leave_half_written(folder: Path, error: type[BaseException]) -> None:
    (folder / "new").write_bytes(b"1")
    raise error


def old(tmp_path: Path) -> Path:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").write_bytes(b"0")
    return target


def test_overwriting_replaces_the_whole_folder(tmp_path: Path) -> None:
    target = old(tmp_path)
    with new_folder(target, overwrite=True) as folder:
        (folder / "new").write_bytes(b"1")
        assert names(target) == ["old"]
    assert names(target) == ["new"]
    assert names(tmp_path) == ["folder"]


@pytest.mark.parametrize("error", [RuntimeError, Interrupted])
def test_a_block_that_fails_leaves_the_old_folder(
    error: type[BaseException], tmp_path: Path
) -> None:
    target = old(tmp_path)
    with pytest.raises(error), new_folder(target, overwrite=True) as folder:
        leave_half_written(folder, error)
    assert names(target) == ["old"]
    assert names(tmp_path) == ["folder"]


def test_a_block_that_fails_leaves_no_folder_where_none_was(tmp_path: Path) -> None:
    with pytest.raises(Interrupted), new_folder(tmp_path / "folder"):
        raise Interrupted
    assert names(tmp_path) == []


@pytest.mark.parametrize("failing", [1, 2])
def test_a_swap_that_fails_half_way_is_undone(
    failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Overwriting takes two renames; when the second fails, the first is taken back."""
    target = old(tmp_path)
    rename, calls = Path.rename, 0

    def failing_rename(self: Path, to: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise OSError("no more")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", failing_rename)
    monkeypatch.setattr("tinysight.files.exchange_folders", lambda one, other: False)
    with pytest.raises(OSError, match="no more"), new_folder(target, overwrite=True) as folder:
        (folder / "new").write_bytes(b"1")
    assert names(target) == ["old"]
    assert names(tmp_path) == ["folder"]


def test_only_a_regular_file_of_bounded_size_is_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    assert read_regular(file, 3) == b"abc"
    with pytest.raises(ValueError, match="3 bytes, allowed are 2"):
        read_regular(file, 2)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "absent", 3)
    if os.name != "nt":
        os.mkfifo(tmp_path / "fifo")
        for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path):
            with pytest.raises(ValueError, match="not a regular file"):
                read_regular(path, 3)
