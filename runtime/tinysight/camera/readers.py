"""What gives frames: OpenCV for cameras, files and URLs; picamera2 for a Raspberry Pi's camera.

Both hand over RGB, and nothing behind them sees another order: OpenCV's blue, green, red is turned
round here, and picamera2 is asked for red, green, blue.
"""

import math
import os
import re
import sys
import time
from pathlib import Path
from typing import Any, Protocol

from tinysight.errors import CameraError, MissingExtraError
from tinysight.preprocess import Pixels, check_array

PICAMERA = re.compile(r"picamera(\d*)")
"""A source's name: `picamera`, or with the camera's number, `picamera1`."""

_TIMEOUT_MS = 10_000
"""How long FFmpeg may take to open a URL, and to read a frame of it."""
_PICAMERA_SIZE = (640, 480)
"""Width and height: the smallest that every sensor offers at 30 frames a second, and more than a
small model sees."""


class Reader(Protocol):
    """An open source of frames, used by one thread at a time."""

    name: str
    """For messages; without the password that a URL may hold."""
    live: bool
    """Whether frames come whether they are read or not, and no end is expected."""

    def grab(self) -> float | None:
        """Goes to the next frame: its time in seconds since the first, or None where none comes."""
        ...

    def pixels(self) -> Pixels:
        """The frame that was grabbed, uint8 (height, width, 3), RGB."""
        ...

    def close(self) -> None:
        """Gives the source back."""
        ...


def open_reader(source: "int | str | os.PathLike[str]") -> Reader:
    """Opens a camera by number, device file or `picamera`; a video file; or a URL.

    Raises:
        CameraError: it cannot be opened.
        MissingExtraError: what would open it is not installed.
    """
    text = os.fspath(source) if not isinstance(source, int) else str(source)
    if PICAMERA.fullmatch(text):
        return PicameraReader(int(text.removeprefix("picamera") or 0))
    if text.isdecimal() or text.startswith("/dev/"):
        return _open_camera(text)
    if "://" in text:
        return _open_url(text)
    if not Path(text).is_file():
        raise CameraError(f"{text}: no such video file")
    reader = OpenCVReader(text, live=False)
    if not reader.is_open:
        raise CameraError(f"{text}: not a video that OpenCV can read")
    return reader


class OpenCVReader:
    """A `cv2.VideoCapture`. Whether it could be opened, `is_open` tells."""

    def __init__(
        self,
        source: int | str,
        *,
        live: bool,
        backend: str = "CAP_ANY",
        parameters: dict[str, int] | None = None,
    ) -> None:
        """Opens a source.

        Args:
            source: a camera's number, or the path or URL of a video.
            live: as `Reader.live`.
            backend: OpenCV's name of what opens it.
            parameters: for opening it, by OpenCV's name.
        """
        self._cv2 = cv2 = _import_cv2()
        given = [word for key, value in (parameters or {}).items() for word in (key, value)]
        numbers = [getattr(cv2, word) if isinstance(word, str) else word for word in given]
        self.name = f"camera {source}" if isinstance(source, int) else without_password(source)
        self.live = live
        self._capture = cv2.VideoCapture(source, getattr(cv2, backend), numbers)
        self._first: float | None = None
        self._count = 0

    @property
    def is_open(self) -> bool:
        opened: bool = self._capture.isOpened()
        return opened

    def grab(self) -> float | None:
        if not self._capture.grab():
            return None
        now = time.monotonic() if self.live else self._position()
        self._count += 1
        if self._first is None:
            self._first = now
        return now - self._first

    def _position(self) -> float:
        """Of the grabbed frame in the video, in seconds, by its own clock or else by its rate."""
        milliseconds: float = self._capture.get(self._cv2.CAP_PROP_POS_MSEC)
        if self._count == 0 or 0 < milliseconds < math.inf:
            return max(0.0, milliseconds / 1000)
        rate: float = self._capture.get(self._cv2.CAP_PROP_FPS)
        return self._count / rate if rate > 0 else 0.0

    def pixels(self) -> Pixels:
        read, frame = self._capture.retrieve()
        if not read:
            raise CameraError(f"{self.name}: a frame cannot be decoded")
        check_array(frame)
        pixels: Pixels = self._cv2.cvtColor(frame, self._cv2.COLOR_BGR2RGB)
        return pixels

    def close(self) -> None:
        self._capture.release()


class PicameraReader:
    """A camera on a Raspberry Pi's own connector, through libcamera."""

    live = True

    def __init__(self, number: int) -> None:
        """Starts the camera of that number, from 0, with 640 x 480 pixels."""
        self.name = f"picamera{number}"
        try:
            from picamera2 import Picamera2
        except ImportError:
            raise MissingExtraError(
                "picamera2 is not installed: sudo apt install python3-picamera2, and make the "
                "virtual environment with --system-site-packages"
            ) from None
        try:
            self._camera = Picamera2(number)
            # Red, green, blue in memory: the name is of the order within a word
            # (raspberrypi/picamera2, issue 843).
            main = {"size": _PICAMERA_SIZE, "format": "BGR888"}
            self._camera.configure(self._camera.create_video_configuration(main=main))
            self._camera.start()
        except (IndexError, RuntimeError) as error:
            raise CameraError(f"{self.name} cannot be opened: {error}") from error
        self._request: Any = None
        self._first: float | None = None

    def grab(self) -> float | None:
        self._release()
        self._request = self._camera.capture_request()
        now = time.monotonic()
        if self._first is None:
            self._first = now
        return now - self._first

    def pixels(self) -> Pixels:
        pixels: Pixels = self._request.make_array("main")
        return pixels

    def close(self) -> None:
        self._release()
        self._camera.close()

    def _release(self) -> None:
        """Gives the frame's buffer back: the camera has few, and stops when all are held."""
        if self._request is not None:
            self._request.release()
            self._request = None


def without_password(source: str) -> str:
    """A URL without the name and password that it may hold: messages end up in logs."""
    return re.sub(r"://[^/]*@", "://***@", source)


def _open_camera(text: str) -> OpenCVReader:
    backend = "CAP_V4L2" if sys.platform == "linux" else "CAP_ANY"
    reader = OpenCVReader(int(text) if text.isdecimal() else text, live=True, backend=backend)
    if reader.is_open:
        return reader
    device = Path(f"/dev/video{text}" if text.isdecimal() else text)
    reason = "is it plugged in, and does another program use it?"
    if sys.platform == "linux" and not device.exists():
        known = ", ".join(map(str, sorted(Path("/dev").glob("video*")))) or "no /dev/video* at all"
        reason = f"there is no {device}; there is {known}"
    elif sys.platform == "linux" and not os.access(device, os.R_OK | os.W_OK):
        reason = f"no permission for {device}: sudo usermod -aG video $USER, then log in anew"
    raise CameraError(f"{reader.name} cannot be opened: {reason}")


def _open_url(text: str) -> OpenCVReader:
    timeouts = {
        "CAP_PROP_OPEN_TIMEOUT_MSEC": _TIMEOUT_MS,
        "CAP_PROP_READ_TIMEOUT_MSEC": _TIMEOUT_MS,
    }
    reader = OpenCVReader(text, live=True, backend="CAP_FFMPEG", parameters=timeouts)
    if not reader.is_open:
        raise CameraError(f"{reader.name} cannot be opened: is it reachable, and a video stream?")
    return reader


def _import_cv2() -> Any:
    # Our one line says what went wrong; both are read when the libraries are loaded.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    try:
        import cv2  # late: optional
    except ImportError:
        raise MissingExtraError(
            "OpenCV is not installed: pip install 'tinysight[camera]' brings it"
        ) from None
    return cv2
