"""A data set as class folders of PNG files, its held-out test images among them."""

from pathlib import Path

from PIL import Image

from tinysight.files import new_folder
from training.data.dataset import PARTS, Dataset
from training.data.errors import DataError
from training.progress import ProgressCallback


def write_parts(dataset: Dataset, out: Path, progress: ProgressCallback) -> dict[str, int]:
    """Writes `<part>/<class>/<index>.png`, the pixels that a model sees; images by part.

    Raises DataError where `out` exists, or where a class's name cannot be that of a folder.
    """
    if out.exists():
        raise DataError(f"{out} exists: choose another --out")
    for label in dataset.labels:
        if label in ("", ".", "..") or any(sign in label for sign in "/\\\0"):
            raise DataError(f"the class {label!r} cannot be a folder's name")
    total = sum(len(indices) for indices in dataset.parts.values())
    written = 0
    with new_folder(out, overwrite=False) as folder:
        for part in (part for part in PARTS if part in dataset.parts):
            for label in dataset.labels:
                (folder / part / label).mkdir(parents=True)
            for index in dataset.parts[part]:
                label = dataset.labels[dataset.targets[index]]
                Image.fromarray(dataset.images[index]).save(
                    folder / part / label / f"{index:05d}.png"
                )
                written += 1
                progress("writing pictures", written, total)
    return {part: len(dataset.parts[part]) for part in PARTS if part in dataset.parts}
