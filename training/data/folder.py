"""Class folders, on disk or in a tar archive: train/<class>/*, and val/ and test/ if there are.

On disk, a folder with none of these three may have its classes at the top, <class>/*.
"""

import hashlib
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from tinysight.errors import ImageError
from tinysight.preprocess import Pixels, to_pixels
from training.data.dataset import PARTS, Decoded
from training.data.errors import DataError
from training.data.tar import tar_members
from training.progress import ProgressCallback

MAX_FILE_BYTES = 256 << 20
"""A larger member of an archive is refused: no small image is that large."""

_LITTER = {"thumbs.db", "desktop.ini"}
"""What file managers leave behind; names with a leading dot are left out too."""

Key = tuple[str, str, str]
"""Part, class, and the name below it."""


def archive_members(path: Path) -> Iterator[tuple[Key, bytes | None]]:
    """Every picture's key and bytes; a class folder on its own has an empty name and None."""

    def wanted(member: tarfile.TarInfo) -> bool:
        key = class_folder_key(member.name)
        return key is not None and bool(key[2])

    for member, content in tar_members(path, wanted, MAX_FILE_BYTES):
        key = class_folder_key(member.name)
        if key is None:
            continue
        if content is not None or (member.isdir() and not key[2]):
            yield key, content


def folder_members(path: Path) -> Iterator[tuple[Key, Path | None]]:
    """Every picture's key and file; a class folder on its own has an empty name and None."""
    for part, root in _parts(path).items():
        for directory in sorted(root.iterdir()):
            if not directory.is_dir() or directory.name.startswith("."):
                continue
            yield (part, directory.name, ""), None
            for file in sorted(directory.rglob("*")):
                key = class_folder_key(f"{part}/{file.relative_to(root).as_posix()}")
                if key is not None and file.is_file():
                    yield key, file


def _parts(path: Path) -> dict[str, Path]:
    """The folders of the parts; the folder itself where it holds two classes or more instead."""
    parts = {part: path / part for part in PARTS if (path / part).is_dir()}
    if not parts:
        classes = [one for one in path.iterdir() if one.is_dir() and not one.name.startswith(".")]
        parts = {"train": path} if len(classes) > 1 else {}
    return parts


def content_hash(path: Path) -> str:
    """SHA-256 over an archive's bytes, or over the names and contents in a folder."""
    digest = hashlib.sha256()
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    for key, file in folder_members(path):
        content = b"" if file is None else file.read_bytes()
        digest.update(f"{key} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def decode(path: Path, size: tuple[int, int], progress: ProgressCallback) -> Decoded:
    """Reads and resizes every picture; names what cannot be read.

    Raises DataError for what cannot be trained on.
    """
    members = archive_members(path) if path.is_file() else folder_members(path)
    pixels: dict[Key, Pixels] = {}
    classes: dict[str, set[str]] = {}
    broken: list[str] = []
    others = 0
    for key, source in members:
        part, label, _ = key
        classes.setdefault(part, set()).add(label)
        if source is None:
            continue
        if key in pixels:  # the last would replace the others, and nobody would miss them
            raise DataError(
                f"{path}: two pictures are {'/'.join(key)}; an archive holds one data set, "
                "and each name once"
            )
        try:
            pixels[key] = to_pixels(source, *size)
        except ImageError as error:
            if _is_no_picture(key[2]):
                others += 1
                continue
            reason = str(error).rpartition(": ")[2]
            broken.append(f"{'/'.join(key)}: {reason}")
        if len(pixels) % 500 == 0:
            progress("reading pictures", len(pixels), 0)
    try:
        labels = _check(path, classes, set(pixels))
    except DataError as error:
        if broken:  # the cause, where a class has broken pictures alone
            raise DataError(f"{error}; what cannot be read: {'; '.join(broken)}") from None
        raise
    keys = sorted(pixels, key=lambda key: (PARTS.index(key[0]), *key))
    index = {label: i for i, label in enumerate(labels)}
    return Decoded(
        labels=labels,
        images=np.stack([pixels[key] for key in keys]),
        targets=np.array([index[label] for _, label, _ in keys], dtype=np.int64),
        counts={part: sum(key[0] == part for key in keys) for part in PARTS if part in classes},
        broken=tuple(broken),
        others=others,
    )


def check_broken(path: Path, broken: Sequence[str]) -> None:
    """Raises DataError where pictures are broken; names all of them."""
    if broken:
        many = f"{len(broken)} pictures" if len(broken) > 1 else "a picture"
        raise DataError(
            f"{path}: {many} cannot be read; --skip-broken goes on without: {'; '.join(broken)}"
        )


def _is_no_picture(name: str) -> bool:
    """Whether a file that cannot be read was none to begin with: its ending is of no picture."""
    ending = PurePosixPath(name).suffix.lower()
    return ending != "" and ending not in Image.registered_extensions()


def _check(path: Path, classes: dict[str, set[str]], keys: set[Key]) -> tuple[str, ...]:
    """Returns the labels, sorted, when every part has pictures of every one of them."""
    if not classes.get("train"):
        raise DataError(
            f"{path}: no class folders; expected is train/<class>/<picture>, or <class>/<picture>"
        )
    labels = classes["train"]
    if len(labels) < 2:
        raise DataError(f"{path}: train/ has only the class {min(labels)!r}; two are needed")
    filled = {(part, label) for part, label, _ in keys}
    for part, present in classes.items():
        for label in sorted(present - labels):
            raise DataError(f"{path}: {part}/ has the class {label!r}, which train/ has not")
        for label in sorted(labels - present):
            raise DataError(f"{path}: {part}/ has no class {label!r}, which train/ has")
        for label in sorted(present):
            if (part, label) not in filled:
                raise DataError(f"{path}: {part}/{label} holds no picture")
    return tuple(sorted(labels))


def class_folder_key(name: str) -> Key | None:
    """The key of `[folder/]part/class/name`; None for what is none of the data's business."""
    parts = [part for part in PurePosixPath(name).parts if part != "."]
    if len(parts) > 1 and parts[0] not in PARTS:
        parts = parts[1:]  # an archive's one folder around everything
    if len(parts) < 2 or parts[0] not in PARTS or ".." in parts:
        return None
    if any(part.startswith(".") for part in parts) or parts[-1].lower() in _LITTER:
        return None
    return parts[0], parts[1], "/".join(parts[2:])
