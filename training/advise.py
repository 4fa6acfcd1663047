"""What a look at the pictures says before anything is trained on them."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tinysight.console import shell_command
from tinysight.errors import ImageError
from tinysight.preprocess import to_pixels
from training.data import Dataset
from training.data.dataset import PARTS
from training.data.folder import archive_members, folder_members
from training.data.splits import FEW_TEST_IMAGES
from training.duplicates import near_duplicates
from training.progress import ProgressCallback

FEW_PER_CLASS = 20
"""Training pictures; with fewer, one picture more of each class gains more than any setting."""
IMBALANCED = 3.0
"""Largest class over smallest, from which on an accuracy says little about the small ones."""
LARGE_SIDE = 96
"""Of the median picture, pixels, from which on 32 x 32 loses what people see: `--size 64`."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A file of the data."""

    name: str
    """`part/class/name`."""
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Pair:
    """A test picture and the training picture that it nearly is."""

    test: str
    train: str
    correlation: float


@dataclass(frozen=True, slots=True)
class Advice:
    """What was seen, and what to try first."""

    title: str
    counts: Mapping[str, Mapping[str, int]]
    """Pictures by part and class; the held-out test pictures count as the test part."""
    median_size: tuple[int, int]
    """Width and height."""
    notes: tuple[str, ...]
    """Of the data set: broken files, files that are no pictures, held-out parts."""
    broken: tuple[str, ...]
    """Pictures that cannot be read, with the reason."""
    duplicates: tuple[Pair, ...]
    suggestions: tuple[str, ...]
    command: str
    """To train with."""


def advise(dataset: Dataset, source: str, progress: ProgressCallback) -> Advice:
    """Looks at all pictures.

    Args:
        dataset: from `load_dataset`, with broken pictures skipped.
        source: what it was loaded from, as the user named it.
        progress: called while looking.
    """
    pictures = read_pictures(dataset, progress)
    progress("looking for near duplicates", 0, 0)
    pairs = tuple(
        Pair(pictures[one.test].name, pictures[one.train].name, round(one.correlation, 3))
        for one in near_duplicates(dataset.images, dataset.parts["train"], dataset.parts["test"])
    )
    counts = {
        part: {
            label: int(np.sum(dataset.targets[dataset.parts[part]] == i))
            for i, label in enumerate(dataset.labels)
        }
        for part in PARTS
        if part in dataset.parts
    }
    widths, heights = zip(*((one.width, one.height) for one in pictures), strict=True)
    size = int(np.median(widths)), int(np.median(heights))
    words = ["--data", source]
    if dataset.is_own and min(size) >= LARGE_SIDE:
        words += ["--size", "64"]
    if dataset.broken:
        words += ["--skip-broken"]
    return Advice(
        title=dataset.title,
        counts=counts,
        median_size=size,
        notes=dataset.notes,
        broken=dataset.broken,
        duplicates=pairs,
        suggestions=tuple(_suggestions(counts, size, len(pairs), words)),
        command=_training("run", *words, "--out", f"runs/{dataset.name}"),
    )


def _training(command: str, *words: str) -> str:
    return shell_command("python", "-m", "training", command, "edge_m", *words)


def read_pictures(dataset: Dataset, progress: ProgressCallback) -> list[Picture]:
    """The files of a data set, in the order of its images."""
    if not dataset.is_own:
        height, width = dataset.images.shape[1:3]
        part_of = {int(i): part for part, all_ in dataset.parts.items() for i in all_}
        return [Picture(f"{part_of[i]} {i}", width, height) for i in range(len(dataset.targets))]
    path = Path(dataset.source)
    found = {}
    for key, source in archive_members(path) if path.is_file() else folder_members(path):
        if source is None:
            continue
        try:
            to_pixels(source, 16, 16)  # what it refuses is not among the images
        except ImageError:
            continue
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
            found[key] = Picture("/".join(key), *opened.size)
        progress("looking at pictures", len(found), len(dataset.targets))
    return [found[key] for key in sorted(found, key=lambda key: (PARTS.index(key[0]), *key))]


def _suggestions(
    counts: Mapping[str, Mapping[str, int]], size: Sequence[int], pairs: int, words: Sequence[str]
) -> list[str]:
    train, test = counts["train"], sum(counts["test"].values())
    few = [label for label, count in train.items() if count < FEW_PER_CLASS]
    least, most = min(train, key=train.__getitem__), max(train, key=train.__getitem__)
    said = []
    if pairs:
        said.append(
            f"{pairs} of {test:,} test pictures are nearly training pictures: look at them; where "
            "two are of the same thing, move both into one part, else the accuracy is too good"
        )
    if few:
        said.append(
            f"fewer than {FEW_PER_CLASS} training pictures of {', '.join(few)}: more of them gain "
            "more than any setting"
        )
    if train[most] > IMBALANCED * train[least]:
        said.append(
            f"{train[most]:,} of {most} and {train[least]:,} of {least}: judge by confusion.png, "
            "not by the accuracy alone"
        )
    if test < FEW_TEST_IMAGES:
        command = _training("crossval", *words, "--out", "runs/crossval")
        said.append(
            f"{test:,} test pictures leave a wide interval; all training pictures validate once in "
            + command
        )
    if min(size) >= LARGE_SIDE:
        said.append(
            "the pictures are large: at --size 64 a network sees more of them, at four times the "
            "work for the device"
        )
    return said
