"""Augmentation: what happens to an image is a function of seed, epoch and image alone.

So it does not depend on the order in which an epoch visits the images, and a teacher can answer
for the very pixels that its student will see.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.recipes import Recipe
from training.tf_keras_setup import tf


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How a run changes its training images."""

    seed: int
    cutout: float = 0.0
    """The part of the side that is erased, in [0, 1)."""
    alternate_flips: bool = False
    """Mirror each image in every second epoch, instead of with probability one half in each."""
    mixup: float = 0.0
    """The part of the images that are blended with another training image, in [0, 1]."""

    @classmethod
    def of(cls, recipe: Recipe) -> "Augmentation | None":
        """What the recipe asks for; None where it leaves the images as they are."""
        if not recipe.augment:
            return None
        mixup = 0.0 if recipe.teacher is None else recipe.mixup
        return cls(recipe.data_seed, recipe.cutout, recipe.alternate_flips, mixup)

    def draw(
        self, epoch: int, shape: tuple[int, ...], train: NDArray[np.int64]
    ) -> "AugmentationParams":
        """What happens in `epoch`, counted from 0, to each of the images (n, h, w, 3).

        Only images of the indices `train` are blended into others.
        """
        n, height, width, _ = shape
        dy, dx = height // 8, width // 8
        hole = round(self.cutout * height), round(self.cutout * width)
        # The third number sets these streams apart from the one that orders the images.
        random = np.random.default_rng((self.seed, epoch, 1))
        top, left = random.integers(0, 2 * dy + 1, n), random.integers(0, 2 * dx + 1, n)
        mirrored = random.random(n) < 0.5
        if self.alternate_flips:
            first = np.random.default_rng((self.seed, 0, 2)).random(n) < 0.5
            mirrored = first ^ bool(epoch % 2)
        hole_top = random.integers(0, height - hole[0] + 1, n)
        hole_left = random.integers(0, width - hole[1] + 1, n)
        places = np.stack([top, left, mirrored, hole_top, hole_left], axis=1).astype(np.int32)
        if not self.mixup:
            return AugmentationParams(places, (dy, dx), hole)
        # In a stream of their own, so that all else stays as it is without them.
        random = np.random.default_rng((self.seed, epoch, 3))
        indices = random.choice(train, n)
        lambdas = np.where(random.random(n) < self.mixup, random.uniform(0.5, 1, n), 1)
        return AugmentationParams(
            places, (dy, dx), hole, Mixup(indices, lambdas.astype(np.float32))
        )


@dataclass(frozen=True, slots=True)
class Mixup:
    """Which other image is blended into each (Zhang et al. 2018, mixup), before all else.

    Its labels would have to be blended too; a teacher, who answers for the very pixels, does
    better (Beyer et al. 2022, arXiv 2106.05237).
    """

    indices: NDArray[np.int64]
    """(n,), indices of images."""
    lambdas: NDArray[np.float32]
    """(n,): what is left of the image itself, from one half to 1."""

    def apply(self, images: Any, indices: Any, lambdas: Any) -> Any:
        """Two times uint8 (b, h, w, 3), and float32 (b,), to uint8 (b, h, w, 3)."""
        own, other = (tf.cast(one, tf.float32) for one in (images, indices))
        lambdas = lambdas[:, None, None, None]
        return tf.cast(tf.round(lambdas * own + (1 - lambdas) * other), tf.uint8)


@dataclass(frozen=True, slots=True)
class AugmentationParams:
    """What happens to every image in one epoch."""

    places: NDArray[np.int32]
    """(n, 5): top and left of the crop, whether it is mirrored, top and left of the hole."""
    margin: tuple[int, int]
    """By how many pixels an image is extended above and below, left and right."""
    hole: tuple[int, int]
    """Height and width of what is erased."""
    blend: "Mixup | None" = None

    def apply(self, images: Any, places: Any) -> Any:
        """uint8 (b, h, w, 3) and their rows of `places` to uint8 (b, h, w, 3)."""
        top, left, mirrored, hole_top, hole_left = tf.unstack(places, axis=1)
        images = flip_and_shift(images, self.margin, top, left, mirrored > 0)
        return cut_out(images, self.hole, hole_top, hole_left) if all(self.hole) else images


def flip_and_shift(images: Any, margin: tuple[int, int], top: Any, left: Any, mirrored: Any) -> Any:
    """Crops each image from its extension by `margin`, and mirrors some.

    On whole batches: image by image, the pipeline would take two cores longer than the model.

    Args:
        images: uint8 (b, h, w, 3).
        margin: rows above and below, columns left and right.
        top: int32 (b,), in [0, 2 * margin[0]]; the margin itself leaves the image in its place.
        left: int32 (b,), likewise.
        mirrored: bool (b,).
    """
    shape = tf.shape(images)
    dy, dx = margin
    # The edge mirrored outwards: a black border would be a feature that no real image has.
    padded = tf.pad(images, [[0, 0], [dy, dy], [dx, dx], [0, 0]], mode="REFLECT")
    rows = top[:, None] + tf.range(shape[1])
    columns = left[:, None] + tf.range(shape[2])
    columns = tf.where(mirrored[:, None], columns[:, ::-1], columns)
    shifted = tf.gather(padded, rows, axis=1, batch_dims=1)
    return tf.gather(shifted, columns, axis=2, batch_dims=1)


def cut_out(images: Any, hole: tuple[int, int], top: Any, left: Any) -> Any:
    """Greys a rectangle of each image: DeVries and Taylor (2017), but wholly within the image.

    Args:
        images: uint8 (b, h, w, 3).
        hole: its height and width.
        top: int32 (b,), and left: where it begins.
    """
    shape = tf.shape(images)
    rows, columns = tf.range(shape[1])[None], tf.range(shape[2])[None]
    in_rows = (rows >= top[:, None]) & (rows < top[:, None] + hole[0])
    in_columns = (columns >= left[:, None]) & (columns < left[:, None] + hole[1])
    erased = in_rows[:, :, None, None] & in_columns[:, None, :, None]
    return tf.where(erased, tf.constant(128, images.dtype), images)
