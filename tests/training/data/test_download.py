"""Downloads from a server on this machine: whole, resumed, refused, cut short."""

import hashlib
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from training.data import cifar10
from training.data.download import download

CONTENT = bytes(range(256)) * 5000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT at every path, in the way that a test chooses."""

    ranges = True
    status: int | None = None
    stop_after: int | None = None
    content = CONTENT

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/some.tar.gz"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, asked = self.server, self.headers["Range"]
        server.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges else 0
        if server.status is not None:
            self.send_error(server.status)
            return
        if start and start >= len(server.content):
            self.send_error(416)
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.stop_after])

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "some.tar.gz"


def part(target: Path, content: bytes) -> Path:
    """Leaves `content` as an earlier download would have."""
    target.parent.mkdir(parents=True, exist_ok=True)
    path = target.with_name("some.tar.gz.part")
    path.write_bytes(content)
    return path


def silent(what: str, done: int, total: int) -> None:
    """No progress is shown."""


def test_a_file_arrives_whole_and_tells_its_progress(server: Server, target: Path) -> None:
    told: list[tuple[str, int, int]] = []
    download(server.url, target, MD5, lambda *args: told.append(args))
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["some.tar.gz"]
    assert server.asked == [None]
    assert told[-1] == ("downloading some.tar.gz", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


@pytest.mark.parametrize("have", [1, 300_000, len(CONTENT) - 1])
def test_a_download_goes_on_where_it_stopped(have: int, server: Server, target: Path) -> None:
    part(target, CONTENT[:have])
    told: list[tuple[str, int, int]] = []
    download(server.url, target, MD5, lambda *args: told.append(args))
    assert server.asked == [f"bytes={have}-"]
    assert target.read_bytes() == CONTENT
    assert told[-1][1:] == (len(CONTENT), len(CONTENT))


def test_a_server_that_knows_no_ranges_sends_all_of_it_again(server: Server, target: Path) -> None:
    server.ranges = False
    part(target, b"other bytes")
    download(server.url, target, MD5, silent)
    assert server.asked == ["bytes=11-"]
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_taken(server: Server, target: Path) -> None:
    """As when the computer went off between the last byte and the renaming."""
    part(target, CONTENT)
    download(server.url, target, MD5, silent)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [404, 403, 500, 503])
def test_a_refusal_is_one_line_with_a_way_out(
    status: int, server: Server, target: Path, refused: Callable[..., str]
) -> None:
    server.status = status
    kept = part(target, b"123")
    refused(
        lambda: download(server.url, target, MD5, silent),
        "some.tar.gz could not be downloaded",
        f"put the file into {target.parent}",
    )
    assert not target.exists()
    assert kept.read_bytes() == b"123"


def test_a_file_of_the_wrong_md5_is_deleted(
    server: Server, target: Path, refused: Callable[..., str]
) -> None:
    server.content = CONTENT[:-1] + b"x"
    refused(lambda: download(server.url, target, MD5, silent), server.url, "wrong MD5")
    assert list(target.parent.iterdir()) == []


def test_a_wrong_part_is_deleted_and_the_next_try_starts_anew(
    server: Server, target: Path, refused: Callable[..., str]
) -> None:
    part(target, CONTENT + b"too long")
    refused(lambda: download(server.url, target, MD5, silent), "wrong MD5")
    download(server.url, target, MD5, silent)
    assert target.read_bytes() == CONTENT


def test_a_connection_cut_short_keeps_what_arrived(
    server: Server, target: Path, refused: Callable[..., str]
) -> None:
    server.stop_after = 500_000
    refused(lambda: download(server.url, target, MD5, silent), "could not be downloaded")
    assert not target.exists()
    assert target.with_name("some.tar.gz.part").read_bytes() == CONTENT[:500_000]
    server.stop_after = None
    download(server.url, target, MD5, silent)
    assert server.asked == [None, "bytes=500000-"]
    assert target.read_bytes() == CONTENT


@pytest.mark.usefixtures("server")
def test_a_server_that_is_not_there_is_one_line(target: Path, refused: Callable[..., str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/some.tar.gz"
        refused(lambda: download(url, target, MD5, silent), "could not be downloaded")


def test_an_answer_that_is_no_http_is_one_line(
    target: Path, refused: Callable[..., str], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a captive portal gives it; http.client's own errors are no OSError."""

    def garbled(handler: Handler) -> None:
        handler.wfile.write(b"welcome to our hotel\r\n\r\n")

    monkeypatch.setattr(Handler, "do_GET", garbled)
    refused(lambda: download(server.url, target, MD5, silent), "could not be downloaded")


def test_stopping_keeps_what_arrived(server: Server, target: Path) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server.url, target, MD5, stop)
    kept = target.with_name("some.tar.gz.part").read_bytes()
    assert kept
    assert CONTENT.startswith(kept)


def test_cifar10_is_downloaded_once(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar10, "URL", server.url)
    monkeypatch.setitem(cifar10.MD5, "cifar-10-binary.tar.gz", MD5)
    path = cifar10.find_or_download(cache, silent)
    assert path == cache / "downloads" / "cifar-10-binary.tar.gz"
    assert cifar10.find_or_download(cache, silent) == path
    assert len(server.asked) == 1
