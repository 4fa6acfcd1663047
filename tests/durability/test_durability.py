"""A short run of `python -m tests.durability`, and what it cannot show: locks and clocks."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tinysight.bundle import load_bundle
from tinysight.files import BusyError, new_folder, sole_writer, sole_writer_inside, write_bytes

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "tests" / "tiny" / "bundle"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(map(str, (ROOT / "runtime", ROOT)))
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_is_lost_by_kills_and_full_disks() -> None:
    done = run("-m", "tests.durability", "--count", "48", "--seed", "1", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads(done.stdout)
    assert counts["tried"] == 48
    assert not any(counts[bad] for bad in ("half-written", "lost", "unrecoverable", "untyped"))


KILLED_BETWEEN = """
import os, signal, sys
from pathlib import Path
import tinysight.files
target, rename, renames = Path(sys.argv[1]), Path.rename, 0
def killed(self, to):
    global renames
    renames += 1
    if renames == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, to)
Path.rename = killed
tinysight.files.exchange_folders = lambda one, other: False
with tinysight.files.new_folder(target, overwrite=True) as folder:
    (folder / "new").touch()
"""


@pytest.fixture
def killed_between(tmp_path: Path) -> Path:
    """A bundle whose writer was killed between the two renames; the folder is absent."""
    target = tmp_path / "bundle"
    with new_folder(target) as folder:
        for file in BUNDLE.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
    done = run("-c", KILLED_BETWEEN, str(target))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not target.exists()
    return target


def test_a_kill_between_the_renames_is_recovered_by_who_reads(killed_between: Path) -> None:
    assert load_bundle(killed_between).labels == load_bundle(BUNDLE).labels
    assert killed_between.is_dir()


def test_a_kill_between_the_renames_is_recovered_by_who_writes(killed_between: Path) -> None:
    with pytest.raises(FileExistsError), new_folder(killed_between):
        pytest.fail("the old bundle was not found")
    with new_folder(killed_between, overwrite=True) as folder:
        (folder / "newer").touch()
    assert [path.name for path in killed_between.parent.iterdir()] == ["bundle"]
    assert [path.name for path in killed_between.iterdir()] == ["newer"]


HOLD = """
import sys
from pathlib import Path
from tinysight.files import sole_writer_inside
with sole_writer_inside(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_keeps_a_second_process_out_until_the_first_is_dead(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "runtime")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BusyError, match="results is being written by another process"):
        sole_writer_inside(folder).__enter__()
    holder.kill()
    holder.communicate()
    assert (folder / ".lock").exists()  # stale
    with sole_writer_inside(folder):
        (folder / "result").touch()
    assert [path.name for path in folder.iterdir()] == ["result"]


def test_an_empty_folder_does_not_stay(tmp_path: Path) -> None:
    with sole_writer_inside(tmp_path / "results"):
        pass
    assert not list(tmp_path.iterdir())


def test_one_process_cannot_hold_a_lock_twice(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with sole_writer(lock, tmp_path), pytest.raises(BusyError):
        sole_writer(lock, tmp_path).__enter__()


def write_a_file(folder: Path) -> None:
    write_bytes(folder / "file", b"1")


def write_a_folder(folder: Path) -> None:
    with new_folder(folder / "folder"):
        pass


@pytest.mark.parametrize("write", [write_a_file, write_a_folder])
def test_a_clock_set_back_is_harmless(write: Callable[[Path], None], tmp_path: Path) -> None:
    """What is newest, abandoned or locked is never told by a time stamp."""
    write(tmp_path)
    for path in tmp_path.rglob("*"):
        os.utime(path, (2**33, 2**33))  # of the year 2242
    if write is write_a_folder:
        with new_folder(tmp_path / "folder", overwrite=True) as folder:
            (folder / "new").touch()
        assert (tmp_path / "folder" / "new").exists()
    else:
        write_bytes(tmp_path / "file", b"2")
        assert (tmp_path / "file").read_bytes() == b"2"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("write", [write_a_file, write_a_folder])
def test_a_read_only_place_is_an_os_error(write: Callable[[Path], None], tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(PermissionError):
        write(tmp_path)
    tmp_path.chmod(0o755)
    assert not list(tmp_path.iterdir())
