"""Which files a person means who names files, folders and patterns."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tinysight.bundle import Bundle
from tinysight.errors import ImageError
from tinysight.preprocess import Pixels, to_pixels

STDIN = "-"


def image_files(folder: Path) -> list[Path]:
    """All files below `folder` whose ending Pillow knows, sorted; hidden ones are left out."""
    endings = Image.registered_extensions()
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in endings
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def expand_paths(names: Iterable[str]) -> Iterator[str | ImageError]:
    """The files that `names` stand for, in order; an ImageError for a name without any.

    A folder stands for the images below it; a pattern, where no such file exists, for what it
    matches (the shell left it to us); `-` for standard input.
    """
    for name in names:
        path = Path(name)
        if name == STDIN or path.is_file():
            yield name
        elif path.is_dir():
            found = [str(file) for file in image_files(path)]
            yield from found if found else [ImageError(f"{name}: no image in this folder")]
        elif any(character in name for character in "*?["):
            import glob  # late: no file or folder needs it

            # Not Path.glob: that takes no absolute pattern.
            found = sorted(m for m in glob.glob(name, recursive=True) if Path(m).is_file())  # noqa: PTH207
            yield from found if found else [ImageError(f"{name}: matches no file")]
        else:
            yield ImageError(f"{name}: no such file or folder")


def labelled_batches(
    folder: Path, bundle: Bundle, batch: int = 100
) -> Iterator[tuple[Pixels, NDArray[np.int64]]]:
    """The images of `folder/<label>/`, or `folder/test/<label>/`, in batches with their classes.

    Yields uint8 (n, height, width, 3) and int64 (n,). Raises ImageError for a folder whose
    subfolders are not the bundle's labels, and for an image that cannot be read.
    """
    root = folder / "test" if (folder / "test").is_dir() else folder
    if not root.is_dir():
        raise ImageError(f"{folder}: no such folder")
    classes = sorted(path.name for path in root.iterdir() if path.is_dir())
    unknown = sorted(set(classes) - set(bundle.labels))
    if unknown or not classes:
        what = f"{unknown[0]!r} is none of the bundle's labels" if unknown else "no class folders"
        raise ImageError(f"{root}: {what}; expected are {', '.join(bundle.labels[:10])}")
    files = [
        (path, bundle.labels.index(name)) for name in classes for path in image_files(root / name)
    ]
    if not files:
        raise ImageError(f"{root}: its class folders hold no image")
    for start in range(0, len(files), batch):
        part = files[start : start + batch]
        pixels = [to_pixels(path, bundle.height, bundle.width, bundle.resample) for path, _ in part]
        yield np.stack(pixels), np.array([target for _, target in part], dtype=np.int64)
