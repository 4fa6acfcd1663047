"""Videos that are written here, and a camera on the loopback interface."""

import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install 'tinysight[camera]'")

RGB = {"red": (200, 10, 10), "green": (10, 200, 10), "blue": (10, 10, 200)}
HEIGHT, WIDTH = 24, 32

WriteVideo = Callable[..., Path]


def bgr(colour: str) -> np.ndarray:
    """A picture of one colour as OpenCV takes it, uint8 (24, 32, 3)."""
    return np.full((HEIGHT, WIDTH, 3), RGB[colour][::-1], np.uint8)


@pytest.fixture
def write_video(tmp_path: Path) -> WriteVideo:
    """Writes a lossless video whose frames have these colours."""

    def write(colours: Sequence[str], fps: float = 30.0) -> Path:
        path = tmp_path / "video.mkv"
        codec = cv2.VideoWriter.fourcc(*"FFV1")
        writer = cv2.VideoWriter(str(path), codec, fps, (WIDTH, HEIGHT))
        assert writer.isOpened()
        for colour in colours:
            writer.write(bgr(colour))
        writer.release()
        return path

    return write


class LoopbackCamera(ThreadingHTTPServer):
    """A network camera, motion JPEG over HTTP: the picture for each word of the path, in turn.

    `/red,blue` gives two frames and then hangs up, as a camera does that vanishes. `/red,blue/on`
    goes on with the last picture until nobody listens.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.closing = threading.Event()

    def url(self, colours: Sequence[str], *, endless: bool = False) -> str:
        return f"http://127.0.0.1:{self.server_port}/{','.join(colours)}" + "/on" * endless


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackCamera

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        colours, _, endless = self.path.strip("/").partition("/")
        try:
            for colour in colours.split(","):
                self._send(colour)
            # 100 frames a second: what nobody takes must not fill the loopback's buffers.
            while endless and not self.server.closing.wait(0.01):
                self._send(colour)
        except OSError:
            pass  # the listener has left

    def _send(self, colour: str) -> None:
        jpeg = cv2.imencode(".jpg", bgr(colour))[1].tobytes()
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
        self.wfile.write(head.encode() + jpeg + b"\r\n")

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def camera() -> Iterator[LoopbackCamera]:
    with LoopbackCamera() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()
