"""Which frames a source gives, in which colours, and how it ends."""

import contextlib
import sys
import threading
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tinysight import CameraError, ImageError, MissingExtraError
from tinysight.camera import Frame, read_frames

if TYPE_CHECKING:
    from tests.runtime.camera.conftest import LoopbackCamera

WriteVideo = Callable[..., Path]

RED, BLUE = (200, 10, 10), (10, 10, 200)


def wait_for_the_reader() -> None:
    """Until the thread that reads a live source has read all of it."""
    for thread in threading.enumerate():
        if thread.name == "camera":
            thread.join(timeout=30)
            assert not thread.is_alive()


def test_a_file_gives_all_its_frames_in_rgb(write_video: WriteVideo) -> None:
    frames = list(read_frames(write_video(["red", "blue"] * 5)))
    assert [frame.index for frame in frames] == list(range(10))
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(10) / 30, abs=1e-3)
    for frame, colour in zip(frames, [RED, BLUE] * 5, strict=True):
        assert frame.pixels.shape == (24, 32, 3)
        assert frame.pixels.flags.c_contiguous
        assert np.abs(frame.pixels.astype(int) - colour).max() <= 3  # the codec's own colour space


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(10, range(0, 30, 3)), (30, range(30)), (100, range(30)), (20, [0, 2, 3, 5, 6, 8, 9, 11])],
)
def test_fewer_frames_a_second_are_taken_by_the_videos_clock(
    fps: float, expected: Sequence[int], write_video: WriteVideo
) -> None:
    indices = [frame.index for frame in read_frames(write_video(["red"] * 30), fps=fps)]
    assert indices[: len(expected)] == list(expected)
    assert len(indices) == min(fps, 30)


def test_a_live_source_gives_the_newest_frame_and_then_its_end(camera: "LoopbackCamera") -> None:
    frames = read_frames(camera.url(["red"] * 49 + ["blue"]))
    first = next(frames)
    wait_for_the_reader()
    last = next(frames)
    assert (last.index, first.index < last.index) == (49, True)
    assert np.abs(last.pixels.astype(int) - BLUE).max() < 12  # JPEG
    with pytest.raises(CameraError, match=r"^http://127.* gives no more frames: unplugged"):
        next(frames)


def test_a_file_in_real_time_drops_frames_and_ends(write_video: WriteVideo) -> None:
    frames = read_frames(write_video(["red"] * 50, fps=1000), realtime=True)
    first = next(frames)
    wait_for_the_reader()
    assert [frame.index for frame in frames] == ([49] if first.index < 49 else [])


def test_a_file_in_real_time_keeps_its_pace(write_video: WriteVideo) -> None:
    """Frames come no sooner than they are due; how much later says more of the machine."""
    import time

    began = time.monotonic()
    *_, last = read_frames(write_video(["red"] * 10, fps=50), realtime=True)
    assert time.monotonic() - began >= last.time_s == pytest.approx(0.18, abs=1e-3)


def test_closing_gives_a_live_source_back(camera: "LoopbackCamera") -> None:
    with contextlib.closing(read_frames(camera.url(["red"], endless=True))) as frames:
        next(frames)
    assert not [thread for thread in threading.enumerate() if thread.name == "camera"]


def test_a_raspberry_pis_camera_gives_the_same_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in with picamera2's methods: the real one needs the hardware."""
    held: list[str] = []

    class Request:
        def make_array(self, name: str) -> np.ndarray:
            assert name == "main"
            return np.full((24, 32, 3), RED, np.uint8)  # what BGR888 means there

        def release(self) -> None:
            held.remove("frame")

    class Picamera2:
        def __init__(self, number: int) -> None:
            if number > 1:
                raise IndexError("list index out of range")
            held.append("camera")

        def create_video_configuration(self, main: dict[str, Any]) -> dict[str, Any]:
            assert main["format"] == "BGR888"
            return main

        def configure(self, configuration: dict[str, Any]) -> None:
            assert configuration["size"] == (640, 480)

        def start(self) -> None: ...

        def capture_request(self) -> Request:
            assert "frame" not in held  # the camera has few buffers
            held.append("frame")
            return Request()

        def close(self) -> None:
            held.remove("camera")

    module = types.ModuleType("picamera2")
    module.Picamera2 = Picamera2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    with contextlib.closing(read_frames("picamera1")) as frames:
        assert [tuple(next(frames).pixels[0, 0]) for _ in range(3)] == [RED] * 3
    assert held == []
    with pytest.raises(CameraError, match="picamera2 cannot be opened: list index"):
        read_frames("picamera2")


def test_what_cannot_be_opened_says_why(tmp_path: Path, write_video: WriteVideo) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    for source, message in (
        (tmp_path / "absent.mp4", "absent.mp4: no such video file"),
        (text, "text.mp4: not a video that OpenCV can read"),
        (98, r"camera 98 cannot be opened: "),
        ("/dev/video98", "/dev/video98 cannot be opened: "),
        ("http://me:secret@127.0.0.1:9/", r"^http://\*\*\*@127.0.0.1:9/ cannot be opened: "),
    ):
        with pytest.raises(CameraError, match=message):
            read_frames(source)
    with pytest.raises(ValueError, match="fps must be above 0"):
        read_frames(write_video(["red"]), fps=0)


@pytest.mark.parametrize(
    ("source", "package", "cure"),
    [
        ("0", "cv2", "OpenCV is not installed: pip install 'tinysight.camera.'"),
        ("picamera", "picamera2", "picamera2 is not installed: sudo apt install"),
    ],
)
def test_a_missing_package_is_named_with_its_cure(
    source: str, package: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=cure):
        read_frames(source)


def test_a_frame_is_checked() -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(ValueError, match="must be 0 or more"):
        Frame(-1, 0.0, pixels)
    with pytest.raises(ImageError, match="an array must be uint8"):
        Frame(0, 0.0, pixels[..., :1])
