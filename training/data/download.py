"""Downloads one file: with progress, resumable, and checked by its hash."""

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from training.data.errors import DataError, one_line
from training.progress import ProgressCallback

TIMEOUT_SECONDS = 30
_CHUNK = 1 << 20


def download(
    url: str, target: Path, digest: str, progress: ProgressCallback, algorithm: str = "md5"
) -> None:
    """Downloads `url` to `target`, which appears only when its hash is `digest`, in hexadecimal.

    A partial download is kept beside it as `.part`, and the next call resumes it. `algorithm` is
    one that hashlib knows.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, part, progress)
    except (OSError, http.client.HTTPException) as error:  # the second: a malformed response
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"{target.name} could not be downloaded ({one_line(reason)}): try again, "
            f"or put the file into {target.parent}"
        ) from None
    if hash_of(part, algorithm) != digest:
        part.unlink()
        wrong = f"the wrong {algorithm.upper()}"
        raise DataError(f"{url}: what arrived has {wrong} and was deleted; try again")
    part.replace(target)


def hash_of(path: Path, algorithm: str = "md5") -> str:
    """In hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def _fetch(url: str, part: Path, progress: ProgressCallback) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to send: the part is complete, or too long
            return
        raise
    with response:
        if response.status != 206:
            have = 0  # the server sends all of it again
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else 0
        with part.open("ab" if have else "wb") as stream:
            while chunk := response.read(_CHUNK):
                stream.write(chunk)
                have += len(chunk)
                progress(f"downloading {url.rpartition('/')[2]}", have, total)
    if have < total:
        raise OSError(f"the connection ended after {have:,} of {total:,} bytes")
