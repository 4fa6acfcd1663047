"""Decoded arrays on disk, by the content that they were decoded from."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tinysight.files import new_folder
from training.data.dataset import Decoded
from training.data.errors import DataError, one_line
from training.disk_errors import full_disk

VERSION = 3
"""Raised when a decoder gives other pixels for the same source."""


def cached(
    folder: Path, content: str, size: tuple[int, int], decode: Callable[[], Decoded]
) -> tuple[Decoded, str]:
    """The decoded source and its fingerprint; decodes only what the cache does not hold.

    Args:
        folder: the cache.
        content: a hash over the source's content.
        size: height and width of the decoded images.
        decode: reads the source.
    """
    key = hashlib.sha256(f"{VERSION} {content} {size}".encode()).hexdigest()[:32]
    entry = folder / "decoded" / key
    try:
        return _read(entry)
    except Exception:  # damage can make numpy raise anything, such as EOFError or MemoryError
        pass  # absent or damaged: decode it
    decoded = decode()
    try:
        with new_folder(entry, overwrite=True) as temporary:
            np.save(temporary / "images.npy", decoded.images)
            np.save(temporary / "targets.npy", decoded.targets)
            meta = {
                "labels": decoded.labels,
                "counts": dict(decoded.counts),
                "broken": decoded.broken,
                "others": decoded.others,
                "fingerprint": _fingerprint(decoded),
            }
            (temporary / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    except OSError as error:
        try:
            return _read(entry)  # another process has written the same content
        except Exception:  # none has: the cause is the first error
            pass
        reason = full_disk(error) or error.strerror or one_line(error)
        raise DataError(
            f"the cache {folder} cannot be written ({reason}): TINYSIGHT_CACHE names another folder"
        ) from None
    return _read(entry)


def _read(entry: Path) -> tuple[Decoded, str]:
    meta = json.loads((entry / "meta.json").read_text(encoding="utf-8"))
    decoded = Decoded(
        labels=tuple(meta["labels"]),
        images=np.load(entry / "images.npy", mmap_mode="r"),
        targets=np.load(entry / "targets.npy"),
        counts=meta["counts"],
        broken=tuple(meta["broken"]),
        others=meta["others"],
    )
    return decoded, meta["fingerprint"]


def _fingerprint(decoded: Decoded) -> str:
    digest = hashlib.sha256(json.dumps([decoded.labels, decoded.images.shape]).encode())
    digest.update(decoded.targets.astype("<i8").tobytes())
    for image in decoded.images:  # one at a time: all at once would be copied
        digest.update(image.tobytes())
    return digest.hexdigest()
