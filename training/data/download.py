"""Downloads one file: with progress, resumable, and checked by its MD5."""

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from training.data.errors import DataError, one_line
from training.progress import ProgressCallback

TIMEOUT_SECONDS = 30
_CHUNK = 1 << 20


def download(url: str, target: Path, md5: str, progress: ProgressCallback) -> None:
    """Downloads `url` to `target`, which appears only when its MD5 is right.

    A partial download is kept beside it as `.part`, and the next call resumes it.
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
    if md5_of(part) != md5:
        part.unlink()
        raise DataError(f"{url}: what arrived has the wrong MD5 and was deleted; try again")
    part.replace(target)


def md5_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


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
