"""The frames of a source, one after another: all of a file's, or the newest of what is live."""

import itertools
import os
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from tinysight.camera.readers import Reader, open_reader
from tinysight.errors import CameraError
from tinysight.preprocess import Pixels, check_array

_STALL_S = 15.0
"""Without a frame for so long, a live source counts as gone. OpenCV itself gives up after 10 s;
this is for drivers that never return."""
_ROUNDING_S = 1e-3
"""Matroska rounds the time of a frame to the millisecond."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture of a source."""

    index: int
    """Its number in the source, from 0. Numbers that are left out were dropped."""
    time_s: float
    """Seconds since the source's first frame: by a video file's clock, or as frames arrived."""
    pixels: Pixels
    """uint8 (height, width, 3), RGB."""

    def __post_init__(self) -> None:
        if not (self.index >= 0 and self.time_s >= 0):
            raise ValueError("a frame's number and time must be 0 or more")
        check_array(self.pixels)


def read_frames(
    source: "int | str | os.PathLike[str]", *, fps: float | None = None, realtime: bool = False
) -> Generator[Frame, None, None]:
    """Opens a source and gives its frames. Closing the generator gives the source back.

    A video file is read in full, as quickly as frames are asked for. A live source (all others) is
    read by a thread of its own that keeps the newest frame only: who is slow misses frames, and
    never sees old ones.

    Args:
        source: a camera by number (`0`), device file (`/dev/video0`) or as `picamera`, `picamera1`,
            …; a video file; a URL (`rtsp://…`).
        fps: frames a second, at most; of a video file, by its own clock. None gives all.
        realtime: plays a video file at its own pace and as a live source, which drops frames.

    Raises:
        CameraError: the source cannot be opened; and while frames are read: a live one gives no
            more, a file has none.
        MissingExtraError: OpenCV, or picamera2, is not installed.
        ValueError: `fps` is not above 0.
    """
    if fps is not None and not fps > 0:
        raise ValueError("fps must be above 0")
    reader = open_reader(source)
    return _newest(reader, fps) if reader.live or realtime else _all(reader, fps)


def _all(reader: Reader, fps: float | None) -> Generator[Frame, None, None]:
    try:
        yield from _checked(reader, _selected(reader, fps))
    finally:
        reader.close()


def _newest(reader: Reader, fps: float | None) -> Generator[Frame, None, None]:
    latest = _LatestFrame(reader, fps)
    try:
        while (frame := latest.take()) is not None:
            yield frame
    finally:
        latest.stop()


def _selected(reader: Reader, fps: float | None) -> Iterator[Frame]:
    """The frames that a rate leaves: the first that comes when the next is due."""
    period = 0.0 if fps is None else 1 / fps
    due = 0.0
    for index in itertools.count():
        time_s = reader.grab()
        if time_s is None:
            return
        if time_s + _ROUNDING_S >= due:
            # From when it was due, so that the rate holds on average; but after a pause of the
            # source, not one for each that was due meanwhile.
            due = max(due, time_s - period) + period
            yield Frame(index, time_s, reader.pixels())


def _checked(reader: Reader, frames: Iterator[Frame]) -> Iterator[Frame]:
    """Raises CameraError at an end that nobody expects."""
    count = 0
    for count, frame in enumerate(frames, 1):  # noqa: B007
        yield frame
    if reader.live:
        raise CameraError(f"{reader.name} gives no more frames: unplugged, or its sender has ended")
    if not count:
        raise CameraError(f"{reader.name}: the video holds no frame")


class _LatestFrame:
    """Reads a source in a thread of its own, and holds its newest frame until it is taken."""

    def __init__(self, reader: Reader, fps: float | None) -> None:
        self._reader, self._fps = reader, fps
        self._patience = _STALL_S + (0.0 if fps is None else 1 / fps)
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._error: Exception | None = None
        self._ended = False
        self._stop = threading.Event()
        # A daemon: a driver that never returns must not keep the process from its end.
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)
        self._thread.start()

    def take(self) -> Frame | None:
        """The newest frame that was not taken yet, once there is one; None after the last.

        Raises CameraError where the source ended or stalled, after its last frame was taken.
        """
        with self._changed:
            there = self._changed.wait_for(
                lambda: self._frame is not None or self._ended, self._patience
            )
            if not there:
                raise CameraError(f"{self._reader.name}: no frame for {self._patience:.0f} s")
            frame, self._frame = self._frame, None
            if frame is None and self._error is not None:
                raise self._error
            return frame

    def stop(self) -> None:
        """Ends the thread, which gives the source back."""
        self._stop.set()
        self._thread.join(timeout=1.0)

    def _read(self) -> None:
        error: Exception | None = None
        try:
            frames = _checked(self._reader, _selected(self._reader, self._fps))
            for frame in frames if self._reader.live else self._paced(frames):
                if self._stop.is_set():
                    break
                with self._changed:
                    self._frame = frame
                    self._changed.notify()
        except Exception as caught:  # of any driver: the taker raises it
            error = caught
        finally:
            self._reader.close()
            with self._changed:
                self._error, self._ended = error, True
                self._changed.notify()

    def _paced(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The frames of a file, each when its time has come."""
        start = time.monotonic()
        for frame in frames:
            if self._stop.wait(start + frame.time_s - time.monotonic()):
                return
            yield frame
