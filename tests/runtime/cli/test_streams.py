"""What the shell hands over: closed streams, pipes, full disks, names that act on a terminal."""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tinysight.cli.main import main

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no such descriptors")

Process = "subprocess.CompletedProcess[bytes]"


@pytest.fixture
def red(tmp_path: Path) -> Path:
    path = tmp_path / "red.png"
    Image.new("RGB", (9, 9), (200, 10, 10)).save(path)
    return path


def shell(tiny: Path, arguments: str, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    """Runs `tinysight classify --bundle TINY` with the rest of a line of bash."""
    line = f'"$0" -m tinysight classify --bundle "$1" {arguments}'
    words = ["bash", "-c", line, sys.executable, str(tiny)]
    return subprocess.run(words, capture_output=True, check=False, timeout=60, **options)


def test_a_closed_standard_input_is_one_line(tiny: Path, red: Path) -> None:
    done = shell(tiny, f"- {red} <&-")
    assert done.returncode == 1
    assert done.stderr == b"tinysight: standard input is closed\n"
    assert done.stdout.split()[:2] == [bytes(red), b"red"]


def test_standard_input_is_read_whatever_the_number_of_jobs(tiny: Path, red: Path) -> None:
    alone, many = (shell(tiny, f"- {red} --jobs {jobs} < {red}") for jobs in (1, 2))
    assert (many.returncode, many.stderr) == (0, b"")
    assert many.stdout == alone.stdout
    assert [line.split()[1] for line in many.stdout.splitlines()] == [b"red", b"red"]


def test_a_closed_standard_output_is_one_line(tiny: Path, red: Path) -> None:
    done = shell(tiny, f"{red} >&-")
    assert (done.returncode, done.stderr) == (1, b"tinysight: standard output is closed\n")


def test_errors_do_not_go_to_standard_output_when_their_own_stream_is_closed(
    tiny: Path, red: Path
) -> None:
    done = shell(tiny, f"absent.png {red} 2>&-")
    assert done.returncode == 1
    assert done.stdout.split()[:2] == [bytes(red), b"red"]
    assert b"absent" not in done.stdout
    assert shell(tiny, f"absent.png {red} <&- >&- 2>&-").returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_line_for_either_stream(tiny: Path, red: Path) -> None:
    done = shell(tiny, f"{red} > /dev/full")
    assert (done.returncode, done.stderr) == (1, b"tinysight: No space left on device\n")
    done = shell(tiny, f"absent.png {red} 2> /dev/full")
    assert done.returncode == 1
    assert b"red" in done.stdout


def test_process_substitution_is_read_and_a_pipe_without_a_writer_refused(
    tiny: Path, red: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    began = time.monotonic()
    done = shell(tiny, f"<(cat {red}) {tmp_path / 'pipe'} {red}")
    assert time.monotonic() - began < 30  # it used to wait for ever
    assert done.returncode == 1
    assert [line.split()[1] for line in done.stdout.splitlines()] == [b"red", b"red"]
    assert done.stderr.count(b"\n") == 1
    assert b"a pipe without an end" in done.stderr


def test_endless_input_is_refused(tiny: Path) -> None:
    done = shell(tiny, "- /dev/zero < /dev/zero")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.splitlines()[1] == b"tinysight: /dev/zero: a device, not a picture"
    assert b"more than 64 MB" in done.stderr.splitlines()[0]


def test_the_noise_of_libraries_stays_off_the_terminal(tiny: Path, red: Path) -> None:
    """libtiff writes to descriptor 2 itself, and Pillow warns in Python."""
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, "TIFF", compression="tiff_adobe_deflate")
    damaged = bytearray(stream.getvalue())
    damaged[500:520] = bytes(20)
    (red.parent / "damaged.tif").write_bytes(damaged)
    done = shell(tiny, f"{red.parent / 'damaged.tif'} {red}")
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(f"tinysight: {red.parent / 'damaged.tif'}: ".encode())


@pytest.mark.parametrize("name", ["\x1b[31mred.png", "a\nb.png", "\u202egnp.exe.png", "\x9b1m.png"])
def test_names_do_not_act_on_the_terminal(name: str, tiny: Path, red: Path) -> None:
    red.rename(red.with_name(name))
    words = [sys.executable, "-m", "tinysight", "classify", "--bundle", str(tiny)]
    paths = [str(red.with_name(name)), str(red.with_name("absent" + name))]
    for options in ([], ["--json"]):
        done = subprocess.run([*words, *options, *paths], capture_output=True, check=False)
        assert done.returncode == 1
        for output in (done.stdout.decode(), done.stderr.decode()):
            assert output.count("\n") == 1
            assert output.strip("\n").isprintable()
        if options:
            assert json.loads(done.stdout)["path"] == paths[0]
    wrong = subprocess.run([*words, "x.png", f"--{name}"], capture_output=True, check=False)
    assert wrong.returncode == 2
    assert not any(character in wrong.stderr.decode() for character in "\x1b\x9b\u202e")


def test_labels_do_not_act_on_the_terminal(
    spoilt: Callable[..., Path], red: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = spoilt(labels=["\x1b[31mred", "green\u202e", "blue\n"])
    for command in (["classify", str(red), "--top-k", "3", "--bundle"], ["info", "--bundle"]):
        assert main([*command, str(folder)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "labels" in line
        assert line.isprintable()


def test_one_bad_name_does_not_end_the_others(
    tiny: Path, red: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [
        "a" * 300,
        "a" * 300 + "*",
        "/" + "b/" * 3000,
        "a" * 5000 + "*",
        "",
        str(red) + "/x",
        "\0",
    ]
    code = main(["classify", "--bundle", str(tiny), *bad, str(red)])
    output = capsys.readouterr()
    assert code == 1
    assert output.out.split()[:2] == [str(red), "red"]
    assert len(output.err.splitlines()) == len(bad)
    assert all(line.startswith("tinysight: ") for line in output.err.splitlines())


AS_NOBODY = """
import glob, os, sys
from pathlib import Path
import PIL.PngImagePlugin
from tinysight import Classifier
from tinysight.image_files import expand_paths
os.setuid(54321)  # a user whom no file of the system names
folder = Path(sys.argv[1])
for name in ("locked", "locked/red.png", "", "*/*.png"):
    for found in expand_paths([str(folder / name)]):
        print(found)
"""


@pytest.mark.skipif(getattr(os, "getuid", lambda: 1)() != 0, reason="only root can be another user")
def test_locked_folders_and_files_get_lines_of_their_own() -> None:
    import tempfile

    # Not pytest's folder, which belongs to its user alone.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "locked").mkdir()
        for path in (folder / "red.png", folder / "locked" / "red.png"):
            Image.new("RGB", (9, 9)).save(path)
        (folder / "locked").chmod(0o000)
        words = [sys.executable, "-c", AS_NOBODY, name]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    locked, within, *rest = done.stdout.splitlines()
    assert locked == f"{folder / 'locked'}: Permission denied"
    assert within == f"{folder / 'locked' / 'red.png'}: Permission denied"
    assert rest == [
        str(folder / "red.png"),
        f"{folder / 'locked'}: Permission denied",
        f"{folder / '*' / '*.png'}: matches no file",
    ]


@pytest.mark.parametrize(
    "argv",
    [
        ["classify", "x", "--threads"],
        ["tune", "--max-threads"],
        ["bench", "--threads"],
        ["select", "--threads"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("threads", ["0", "65", "1000", str(2**31), "9" * 5000, "1.5"])
def test_a_senseless_number_of_threads_is_a_usage_error(
    argv: list[str], threads: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*argv, threads])
    assert caught.value.code == 2
    assert "threads" in capsys.readouterr().err
