"""Where things lie in a store, and current.json."""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tinysight.errors import UpdateError
from tinysight.files import read_regular, write_bytes
from tinysight.records import RecordError, from_json, parse_json, to_json

FORMAT: Final = 1
CURRENT = "current.json"
VERSIONS = "versions"
MAX_CURRENT_BYTES = 1 << 12

VERSION_ID = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Current:
    """current.json."""

    version: str
    """The id of the version that is to be used."""
    previous: str | None = None
    """Of the one to roll back to."""
    rejected: str | None = None
    """Of the one that was rolled back from, which is not taken again by itself."""

    def __post_init__(self) -> None:
        for one in (self.version, self.previous, self.rejected):
            if one is not None and not VERSION_ID.fullmatch(one):
                raise ValueError("a version's id has 32 hexadecimal digits")
        if self.version in (self.previous, self.rejected):
            raise ValueError("the current version is the previous or the rejected one, too")


def version_id(description: bytes, signature: bytes | None) -> str:
    """The id of a bundle: the first 128 bits of a SHA-256 over bundle.json and signature.json.

    So a bundle that was signed anew is another version.
    """
    parts = hashlib.sha256(description).digest(), hashlib.sha256(signature or b"").digest()
    return hashlib.sha256(b"".join(parts)).hexdigest()[:32]


def is_store(folder: Path) -> bool:
    """Whether there is a store, of which one version is current."""
    return os.path.lexists(folder / CURRENT)


def read_current(store: Path) -> Current:
    """Raises UpdateError where the folder is no store, or current.json is damaged."""
    file = store / CURRENT
    try:
        content = parse_json(read_regular(file, MAX_CURRENT_BYTES))
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise RecordError(f"not of format {FORMAT}")
        return from_json(Current, content)
    except FileNotFoundError:
        raise UpdateError(
            f"{store} is not a store of bundles: it has no {CURRENT} (`tinysight pull` makes one)"
        ) from None
    except OSError as error:
        raise UpdateError(f"{file}: {error.strerror or error}") from None
    except ValueError as error:
        raise UpdateError(f"{file}: {error}") from None


def write_current(store: Path, current: Current) -> None:
    """Goes over to another version, in one step. Raises OSError; then all is as before."""
    content = json.dumps({"format": FORMAT, **to_json(current)}, indent=1) + "\n"
    write_bytes(store / CURRENT, content.encode())


def version_folder(store: Path, version: str) -> Path:
    """The bundle of a version."""
    return store / VERSIONS / version
