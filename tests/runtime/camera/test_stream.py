"""`tinysight stream`: its lines, its exit codes, and how it is stopped."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tinysight.cli.main import main

if TYPE_CHECKING:
    from tests.runtime.camera.conftest import LoopbackCamera

WriteVideo = Callable[..., Path]
Stream = Callable[..., tuple[int, list[str], list[str]]]


@pytest.fixture
def stream(tiny: Path, capsys: pytest.CaptureFixture[str]) -> Stream:
    """Runs the command in this process: its exit code, and its lines on stdout and stderr."""

    def call(*words: object) -> tuple[int, list[str], list[str]]:
        code = main(["stream", "--bundle", str(tiny), *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out.splitlines(), captured.err.splitlines()

    return call


def start(tiny: Path, *words: object, **options: Any) -> "subprocess.Popen[str]":
    # A shell lets what it starts in the background ignore Ctrl-C, the tests and their children too.
    reset = "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code = reset + "runpy.run_module('tinysight', run_name='__main__')"
    command = [sys.executable, "-c", code, "stream", "--bundle", str(tiny)]
    return subprocess.Popen(
        [*command, *map(str, words)], stderr=subprocess.PIPE, text=True, **options
    )


def test_blue_and_red_are_not_mistaken_for_each_other(
    stream: Stream, write_video: WriteVideo
) -> None:
    code, out, err = stream(write_video(["blue", "red"]))
    assert (code, err) == (0, [])
    blue, red = out
    assert re.fullmatch(r" {4}0\.000 s  blue  99\.\d%", blue)
    assert re.fullmatch(r" {4}0\.033 s  red  99\.\d%", red)


def test_json_has_the_frame_its_time_and_the_prediction(
    stream: Stream, write_video: WriteVideo
) -> None:
    _, out, _ = stream(write_video(["blue"] * 10), "--json", "--fps", 10, "--top-k", 2)
    lines = [json.loads(line) for line in out]
    assert [(line["frame"], line["time_s"]) for line in lines] == [
        (0, 0.0), (3, 0.1), (6, 0.2), (9, 0.3),
    ]  # fmt: skip
    assert set(lines[0]) == {
        "frame",
        "time_s",
        "label",
        "index",
        "probability",
        "energy_score",
        "top",
    }
    assert (lines[0]["label"], lines[0]["index"]) == ("blue", 2)
    best, second = lines[0]["top"]
    assert (best["label"], best["probability"]) == ("blue", lines[0]["probability"])
    assert second["probability"] < best["probability"]


def test_on_change_prints_a_line_where_the_label_changes(
    stream: Stream, write_video: WriteVideo
) -> None:
    video = write_video(["red", "red", "blue", "blue", "red", "red"])

    def changes(*options: object) -> list[tuple[int, str | None]]:
        lines = map(json.loads, stream(video, "--json", "--on-change", *options)[1])
        return [(line["frame"], line["label"]) for line in lines]

    assert changes() == [(0, "red"), (2, "blue"), (4, "red")]
    assert changes("--frames", 4) == [(0, "red"), (2, "blue")]
    # Over two frames: half red and half blue is unknown.
    assert changes("--smoothing", 0.5, "--min-confidence", 0.7) == [
        (0, "red"), (2, None), (3, "blue"), (4, None), (5, "red"),
    ]  # fmt: skip


def test_frames_ends_it_even_where_the_source_goes_on(
    stream: Stream, camera: "LoopbackCamera"
) -> None:
    code, out, err = stream(camera.url(["blue"], endless=True), "--frames", 3)
    assert (code, len(out), err) == (0, 3, [])


def test_a_camera_that_vanishes_is_one_line_and_exit_code_1(
    stream: Stream, camera: "LoopbackCamera"
) -> None:
    url = camera.url(["red"] * 49 + ["blue"])
    code, out, err = stream(url)
    assert code == 1
    assert "  blue  99." in out[-1]
    assert err == [f"tinysight: {url} gives no more frames: unplugged, or its sender has ended"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent.mp4"], "absent.mp4: no such video file"),
        (["video.mkv", "--bundle", "absent"], "absent"),
        (["video.mkv", "--min-confidence", "auto"], "recommends no energy score"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str],
    message: str,
    stream: Stream,
    write_video: WriteVideo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(write_video(["red"]).parent)
    code, out, err = stream(*words)
    assert (code, out, len(err)) == (1, [], 1)
    assert message in err[0]


@pytest.mark.parametrize(
    "words", [["--smoothing", "1"], ["--smoothing", "-0.1"], ["--fps", "0"], ["--frames", "0"]]
)
def test_an_option_out_of_its_range_is_refused(
    words: list[str], stream: Stream, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        stream("video.mkv", *words)
    assert stopped.value.code == 2
    assert f"argument {words[0]}: must be" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_one_line(
    number: signal.Signals, code: int, tiny: Path, camera: "LoopbackCamera"
) -> None:
    url = camera.url(["blue"], endless=True)
    with start(tiny, url, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "blue" in process.stdout.readline()
        process.send_signal(number)
        process.stdout.read()
        assert process.stderr.read() == "tinysight: stopped\n"
    assert process.returncode == code


@pytest.mark.skipif(os.name == "nt", reason="there is no such pipe")
def test_a_reader_that_has_had_enough_is_no_error(tiny: Path, camera: "LoopbackCamera") -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with start(tiny, camera.url(["blue"], endless=True), stdout=writing) as process:
        os.close(writing)
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0
