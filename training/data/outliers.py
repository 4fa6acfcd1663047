"""Pictures of no class, for outlier exposure: Hendrycks et al. (2019), arXiv 1812.04606.

A model that was only shown its classes is sure of nearly everything. One that was also shown
pictures of nothing in particular, with every class as equally right, is unsure of others like them,
at no cost on the device.

The kinds here are for training. Those that `python -m benchmarks ood` reports on are made by other
code, since what a model does with pictures that it was trained on says nothing about new ones. Two
of them, text and gratings, resemble the thin strokes and the repeated parts here.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tinysight.errors import ImageError
from tinysight.preprocess import Pixels, to_pixels
from training.data.dataset import Indices
from training.data.errors import DataError

NO_CLASS = -1
"""The target of a picture of no class."""


@dataclass(frozen=True)
class UnknownPictures:
    """A user's own pictures of no class."""

    images: Pixels
    """uint8 (n, h, w, 3)."""

    @property
    def sha256(self) -> str:
        """Of their pixels."""
        return hashlib.sha256(np.ascontiguousarray(self.images).tobytes()).hexdigest()


def read_unknown(folder: Path, size: tuple[int, int]) -> UnknownPictures:
    """Reads every picture in a folder and its subfolders, resized to (height, width).

    Files that are no pictures are left out. Raises DataError where there is no picture.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: pictures of no class are read from one")
    images = []
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.name.startswith("."):
            try:
                images.append(to_pixels(file, *size))
            except ImageError:
                continue
    if not images:
        raise DataError(f"{folder} holds no picture")
    return UnknownPictures(np.stack(images))


def outliers(
    count: int,
    images: NDArray[np.uint8],
    train: Indices,
    seed: int,
    unknown: UnknownPictures | None = None,
) -> Pixels:
    """Seeded pictures of no class.

    Args:
        count: how many.
        images: uint8 (n, h, w, 3), of which some kinds are made.
        train: indices of the training images, the only ones that are used.
        seed: of the drawing.
        unknown: where given, half of the pictures are drawn from these.

    Returns:
        uint8 (count, h, w, 3), in no order.
    """
    random = np.random.default_rng((seed, 0, 4))  # a stream apart from those of the augmentation
    given = 0 if unknown is None else count // 2
    parts = [] if unknown is None else [unknown.images[random.choice(len(unknown.images), given)]]
    for sources in np.array_split(random.choice(train, count - given), len(_KINDS)):
        kind = _KINDS[len(parts) - (unknown is not None)]
        parts.append(kind(random, images[sources]))
    made: Pixels = np.concatenate(parts)
    random.shuffle(made)
    return made


def _noise(random: np.random.Generator, pictures: Pixels) -> Pixels:
    """Noise of every coarseness, from single pixels to a few blots, coloured or grey."""
    n, height, width, _ = pictures.shape
    made = np.empty((n, height, width, 3), np.uint8)
    for pixels in made:
        cells = int(2 ** random.uniform(1, np.log2(min(height, width))))
        channels = 3 if random.random() < 0.7 else 1
        values = random.normal(128, random.uniform(20, 120), (cells, cells, channels))
        coarse = np.broadcast_to(np.clip(values, 0, 255).astype(np.uint8), (cells, cells, 3))
        filter_ = (Image.Resampling.NEAREST, Image.Resampling.BICUBIC)[int(random.integers(2))]
        pixels[:] = np.asarray(Image.fromarray(coarse).resize((width, height), filter_))
    return made


def _gradients(random: np.random.Generator, pictures: Pixels) -> Pixels:
    """From one colour to another, straight; a fifth of them are of one colour."""
    n, height, width, _ = pictures.shape
    y, x = np.mgrid[0:height, 0:width]
    angle = random.uniform(0, 2 * np.pi, (n, 1, 1))
    along = np.cos(angle) * x / width + np.sin(angle) * y / height
    low, high = along.min(axis=(1, 2), keepdims=True), along.max(axis=(1, 2), keepdims=True)
    first, second = random.uniform(0, 255, (2, n, 1, 1, 3))
    second = np.where(random.random((n, 1, 1, 1)) < 0.2, first, second)
    return _to_pixels(first + (second - first) * ((along - low) / (high - low))[..., None])


def _strokes(random: np.random.Generator, pictures: Pixels) -> Pixels:
    """Lines, outlines and arcs on one colour, from one large one to a hundred small ones."""
    n, height, width, _ = pictures.shape
    made = np.empty((n, height, width, 3), np.uint8)
    for pixels in made:
        grey = random.random() < 0.3
        count = int(10 ** random.uniform(0, 2))
        extent = random.uniform(0.5, 1) / count**0.4  # of the picture's sides
        # Twice the size, then reduced, for smooth edges.
        picture = Image.new("RGB", (2 * width, 2 * height), _colour(random, grey))
        draw, ink = ImageDraw.Draw(picture), _colour(random, grey)
        for _ in range(count):
            left, top = random.uniform(-extent / 2, 1, 2) * (2 * width, 2 * height)
            right, bottom = (left, top) + random.uniform(0, 2 * extent, 2) * (width, height)
            weight = 1 + int(random.uniform(0, extent * width / 4))
            match int(random.integers(4)):
                case 0:
                    draw.line([(left, top), (right, bottom)], ink, weight)
                case 1:
                    draw.ellipse((left, top, right, bottom), outline=ink, width=weight)
                case 2:
                    first, last = sorted(random.uniform(0, 360, 2).tolist())
                    draw.arc((left, top, right, bottom), first, last, ink, weight)
                case _:
                    draw.rectangle((left, top, right, bottom), outline=ink, width=weight)
            if random.random() < 0.2:
                ink = _colour(random, grey)
        pixels[:] = np.asarray(picture.resize((width, height), Image.Resampling.BOX))
    return made


def _shapes(random: np.random.Generator, pictures: Pixels) -> Pixels:
    """One to twelve filled polygons and ellipses, large and flat, on one colour or on a blur."""
    n, height, width, _ = pictures.shape
    made = np.empty((n, height, width, 3), np.uint8)
    for pixels, image in zip(made, pictures, strict=True):
        grey = random.random() < 0.2
        size = (2 * width, 2 * height)  # then reduced, for smooth edges
        if random.random() < 0.5:
            picture = Image.new("RGB", size, _colour(random, grey))
        else:
            picture = Image.fromarray(image).resize((3, 3)).resize(size)
        draw = ImageDraw.Draw(picture)
        for _ in range(int(random.integers(1, 13))):
            ink, outline = _colour(random, grey), _colour(random, grey)
            centre, reach = random.uniform(0.1, 0.9, 2), random.uniform(0.08, 0.45, 2)
            weight = int(random.integers(0, 5))
            if random.random() < 0.5:
                (left, top), (right, bottom) = (centre - reach) * size, (centre + reach) * size
                draw.ellipse((left, top, right, bottom), ink, outline, weight)
            else:
                angles = np.sort(random.uniform(0, 2 * np.pi, int(random.integers(3, 9))))
                corners = np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach + centre
                draw.polygon([(x, y) for x, y in corners * size], ink, outline, weight)
        pixels[:] = np.asarray(picture.resize((width, height), Image.Resampling.BOX))
    return made


def _colour(random: np.random.Generator, grey: bool) -> tuple[int, int, int]:
    red, green, blue = random.integers(0, 256, 3)
    return (int(red),) * 3 if grey else (int(red), int(green), int(blue))


def _enlarged(random: np.random.Generator, pictures: Pixels) -> Pixels:
    """A sixteenth of a training image, or less, enlarged: its textures, without its object."""
    n, height, width, _ = pictures.shape
    made = np.empty((n, height, width, 3), np.uint8)
    for pixels, image in zip(made, pictures, strict=True):
        rows, columns = (int(side * random.uniform(0.12, 0.25)) for side in (height, width))
        rows, columns = max(rows, 2), max(columns, 2)
        top, left = random.integers(0, height - rows + 1), random.integers(0, width - columns + 1)
        part = Image.fromarray(image[top : top + rows, left : left + columns])
        pixels[:] = np.asarray(part.resize((width, height), Image.Resampling.BICUBIC))
    return made


def _shuffled(random: np.random.Generator, pictures: Pixels) -> Pixels:
    """The sixteen tiles of a picture, each of another training image."""
    n, height, width, _ = pictures.shape
    made = np.empty((n, height, width, 3), np.uint8)
    rows, columns = (np.linspace(0, side, 5).astype(int) for side in (height, width))
    for i in range(4):
        for j in range(4):
            tile = slice(rows[i], rows[i + 1]), slice(columns[j], columns[j + 1])
            made[:, tile[0], tile[1]] = random.permutation(pictures[:, tile[0], tile[1]])
    return made


def _repeated(random: np.random.Generator, pictures: Pixels) -> Pixels:
    """A small part of a training image, tiled over the whole picture and turned."""
    n, height, width, _ = pictures.shape
    made = np.empty((n, height, width, 3), np.uint8)
    for pixels, image in zip(made, pictures, strict=True):
        rows, columns = (max(int(side * random.uniform(0.1, 0.4)), 2) for side in (height, width))
        top, left = random.integers(0, height - rows + 1), random.integers(0, width - columns + 1)
        part = image[top : top + rows, left : left + columns]
        # Half as large again: a square that is turned leaves no corner of the picture empty.
        tiled = np.tile(part, (3 * height // (2 * rows) + 1, 3 * width // (2 * columns) + 1, 1))
        turned = Image.fromarray(tiled).rotate(
            random.uniform(0, 360), Image.Resampling.BICUBIC, fillcolor=_colour(random, False)
        )
        x, y = (turned.width - width) // 2, (turned.height - height) // 2
        pixels[:] = np.asarray(turned.crop((x, y, x + width, y + height)))
    return made


def _overlaid(random: np.random.Generator, pictures: Pixels) -> Pixels:
    """The mean of three training images, one of them upside down, with its contrast restored."""
    first, second, third = (random.permutation(pictures).astype(np.float32) for _ in range(3))
    mean = (first + second + third[:, ::-1]) / 3
    centre = mean.mean(axis=(1, 2, 3), keepdims=True)
    return _to_pixels(centre + (mean - centre) * np.sqrt(3))


def _to_pixels(values: NDArray[np.floating]) -> Pixels:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


_KINDS: tuple[Callable[[np.random.Generator, Pixels], Pixels], ...] = (
    _noise,
    _gradients,
    _strokes,
    _shapes,
    _enlarged,
    _shuffled,
    _repeated,
    _overlaid,
)
"""Each makes as many pictures as it gets training images, uint8 (n, h, w, 3), of them or beside
them; all kinds in equal parts."""
