"""Where an update comes from: a folder, or the address of one on any web server.

A server needs no program: it has the bundle's folder, and each file that bundle.json names is
fetched by its name. Nothing is listed, unpacked or followed from one server to another protocol.
"""

import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, Protocol

from tinysight.errors import UpdateError
from tinysight.files import read_regular

SOCKET_TIMEOUT_S = 30
"""Without a byte."""
MAX_SECONDS = 3600
"""Of one file, however slowly it drips."""
_CHUNK_BYTES = 1 << 16
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

Progress = Callable[[int], None]
"""Told the bytes of a file that have arrived."""


class Source(Protocol):
    """A bundle's folder somewhere."""

    @property
    def private(self) -> bool:
        """Whether nobody on the way can change what is read."""

    def read(self, name: str, max_bytes: int, progress: Progress | None = None) -> bytes | None:
        """A file's content; None where there is no such file. Raises UpdateError."""


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A folder of this machine: a memory stick, say."""

    folder: Path
    private = True

    def read(self, name: str, max_bytes: int, progress: Progress | None = None) -> bytes | None:
        file = self.folder / name
        try:
            content = read_regular(file, max_bytes)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UpdateError(f"{file}: {error.strerror or error}") from None
        except ValueError as error:
            raise UpdateError(f"{file}: {error}") from None
        if progress is not None:
            progress(len(content))
        return content


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows no redirection from https to another protocol."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str,
        headers: Any, newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        if req.type == "https" and urllib.parse.urlsplit(newurl).scheme != "https":
            raise urllib.error.HTTPError(
                newurl, code, "redirected to another protocol", headers, fp
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@dataclass(frozen=True, slots=True)
class UrlSource:
    """The address of a bundle's folder, https or http."""

    url: str
    """Without bundle.json, with or without a slash at its end."""

    @property
    def private(self) -> bool:
        parts = urllib.parse.urlsplit(self.url)
        return parts.scheme == "https" or parts.hostname in _LOOPBACK

    def read(self, name: str, max_bytes: int, progress: Progress | None = None) -> bytes | None:
        address = f"{self.url.rstrip('/')}/{urllib.parse.quote(name)}"
        request = urllib.request.Request(address, headers={"User-Agent": "tinysight"})
        try:
            with _opener().open(request, timeout=SOCKET_TIMEOUT_S) as response:
                return _read_bounded(response, address, max_bytes, progress)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                return None
            raise UpdateError(f"{address}: {error.code} {error.reason}") from None
        except urllib.error.URLError as error:
            raise UpdateError(f"{address}: {error.reason}") from None
        except (OSError, HTTPException, ValueError) as error:
            raise UpdateError(f"{address}: {error or type(error).__name__}") from None


def open_source(source: str) -> Source:
    """A folder, or an address that begins with http:// or https://. Raises UpdateError."""
    if "://" not in source:
        folder = Path(source)
        if not folder.is_dir():
            raise UpdateError(f"{source} is no folder, and no address (https://…)")
        return FolderSource(folder)
    try:
        parts = urllib.parse.urlsplit(source)
    except ValueError as error:
        raise UpdateError(f"{source}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UpdateError(f"{source}: an address begins with https:// or http:// and a host")
    if parts.query or parts.fragment:
        raise UpdateError(f"{source}: an address of a folder has no ? and no #")
    return UrlSource(source)


def _opener() -> urllib.request.OpenerDirector:
    """One that knows http and https alone: no file:, ftp: or data:, also after a redirection."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _NoDowngrade(),
    ):
        opener.add_handler(handler)
    return opener


def _read_bounded(response: Any, address: str, max_bytes: int, progress: Progress | None) -> bytes:
    headers: Message | Mapping[str, str] = response.headers
    declared = headers.get("Content-Length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise UpdateError(f"{address}: {int(declared):,} bytes, allowed are {max_bytes:,}")
    content = bytearray()
    deadline = time.monotonic() + MAX_SECONDS
    while chunk := response.read1(_CHUNK_BYTES):
        content += chunk
        if len(content) > max_bytes:
            raise UpdateError(f"{address}: more than {max_bytes:,} bytes")
        if time.monotonic() > deadline:
            raise UpdateError(f"{address}: not there within {MAX_SECONDS:,} s")
        if progress is not None:
            progress(len(content))
    if declared.isdecimal() and len(content) < int(declared):
        raise UpdateError(f"{address}: the connection ended early")
    return bytes(content)
