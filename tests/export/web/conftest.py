"""Pages written with the real onnxruntime-web, served by a server that knows nothing."""

import functools
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.studies.browser import StaticServer
from export.web.onnxruntime_web import TARBALL, OnnxRuntimeWeb, read_package
from export.web.site import write_site
from tests.chromium import launched
from tinysight.bundle import load_bundle
from tinysight.files import cache_folder

# The user's own cache, asked before the tests are given one of their own.
DOWNLOADED = cache_folder() / "downloads" / TARBALL
CAMERA_SIZE = (640, 480)


@pytest.fixture(scope="session")
def runtime() -> OnnxRuntimeWeb:
    if not DOWNLOADED.is_file():
        pytest.skip("onnxruntime-web is not in the cache: `make browser` downloads it")
    return read_package(DOWNLOADED, lambda what, done, total: None)


@pytest.fixture(scope="session")
def site_of(
    runtime: OnnxRuntimeWeb, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str | Path], Path]:
    """Writes the page of a bundle, once for all tests."""

    @functools.cache
    def write(bundle: str | Path) -> Path:
        out = tmp_path_factory.mktemp("sites") / "site"
        write_site(load_bundle(bundle), runtime, out, overwrite=False)
        return out

    return write


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], StaticServer]]:
    servers = []

    def start(folder: Path) -> StaticServer:
        servers.append(StaticServer(folder))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def camera_colour() -> tuple[int, int, int]:
    """What the camera sees: the tiny bundle calls it blue."""
    return (20, 30, 220)


@pytest.fixture(scope="module")  # playwright allows one at a time, and others need one too
def browser(
    camera_colour: tuple[int, int, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """Chromium with a camera that shows a video of one colour."""
    frame = io.BytesIO()
    Image.new("RGB", CAMERA_SIZE, camera_colour).save(frame, "JPEG", quality=95)
    video = tmp_path_factory.mktemp("camera") / "video.mjpeg"
    video.write_bytes(frame.getvalue() * 10)
    with launched(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={video}",
    ) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page in a fresh profile; any error on its console fails the module's last test."""
    contexts = []
    errors: list[str] = []

    def open_it(url: str, **options: Any) -> Any:
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: errors.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: errors.append(f"page: {error}"))
        page.on("requestfailed", lambda call: errors.append(f"failed: {call.url}"))
        page.goto(url)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert errors == []
