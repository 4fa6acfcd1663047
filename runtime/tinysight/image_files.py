"""Which files a person means who names files, folders and patterns."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinysight.bundle import Bundle
from tinysight.errors import ImageError
from tinysight.pictures.formats import ENDINGS
from tinysight.preprocess import Pixels, to_pixels

STDIN = "-"


def image_files(folder: Path) -> list[str | ImageError]:
    """All files below `folder` with the ending of a format that is read, sorted; no hidden ones.

    An ImageError stands for each folder that could not be looked into.
    """
    found: list[str] = []
    refused: list[ImageError] = []
    pending = [str(folder)]
    while pending:
        place = pending.pop()
        try:
            with os.scandir(place) as entries:
                # As text: a million paths as objects would take as long as reading the pictures.
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    name = entry.name if place == "." else entry.path
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(name)
                    elif entry.name[entry.name.rfind(".") :].lower() in ENDINGS and _is_file(entry):
                        found.append(name)
        except OSError as error:
            refused.append(ImageError(f"{error.filename or place}: {error.strerror or error}"))
    return [*sorted(found), *sorted(refused, key=str)]


def expand_paths(names: Iterable[str]) -> Iterator[str | ImageError]:
    """The files that `names` stand for, in order; an ImageError for a name without any.

    A folder stands for the images below it; a pattern, where no such file exists, for what it
    matches (the shell left it to us); `-` for standard input. What is neither a file nor a folder,
    such as a pipe, stands for itself.
    """
    for name in names:
        path = Path(name)
        try:
            if not name:  # which would be the current folder
                yield ImageError("an empty name")
            elif name == STDIN or (path.exists() and not path.is_dir()):
                yield name
            elif path.is_dir():
                found = image_files(path)
                yield from found
                if not found:
                    yield ImageError(f"{name}: no image in this folder")
            elif any(character in name for character in "*?["):
                import glob  # late: no file or folder needs it

                # Not Path.glob: that takes no absolute pattern.
                matches = sorted(m for m in glob.glob(name, recursive=True) if _is_file(Path(m)))  # noqa: PTH207
                yield from matches if matches else [ImageError(f"{name}: matches no file")]
            else:
                yield ImageError(f"{name}: no such file or folder")
        except (OSError, ValueError) as error:  # too long, not to be looked at, no name at all
            yield ImageError(f"{name}: {getattr(error, 'strerror', None) or error}")


def _is_file(path: Path | os.DirEntry[str]) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def labelled_batches(
    folder: Path, bundle: Bundle, batch: int = 100
) -> Iterator[tuple[Pixels, NDArray[np.int64]]]:
    """The images of `folder/<label>/`, or `folder/test/<label>/`, in batches with their classes.

    Yields uint8 (n, height, width, 3) and int64 (n,). Hidden folders, such as those of notebooks,
    are passed over. Raises ImageError for a folder whose subfolders are not the bundle's labels,
    and for an image that cannot be read.
    """
    root = folder / "test" if (folder / "test").is_dir() else folder
    if not root.is_dir():
        raise ImageError(f"{folder}: no such folder")
    classes = sorted(
        path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    unknown = sorted(set(classes) - set(bundle.labels))
    if unknown or not classes:
        what = f"{unknown[0]!r} is none of the bundle's labels" if unknown else "no class folders"
        raise ImageError(f"{root}: {what}; expected are {', '.join(bundle.labels[:10])}")
    files = []
    for name in classes:
        for path in image_files(root / name):
            if isinstance(path, ImageError):
                raise path
            files.append((path, bundle.labels.index(name)))
    if not files:
        raise ImageError(f"{root}: its class folders hold no image")
    for start in range(0, len(files), batch):
        part = files[start : start + batch]
        pixels = [to_pixels(path, bundle.height, bundle.width, bundle.resample) for path, _ in part]
        yield np.stack(pixels), np.array([target for _, target in part], dtype=np.int64)
