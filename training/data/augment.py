"""Augmentation that depends on seed, epoch and image index alone.

It does not depend on the order of the images in an epoch, so a teacher's logits can be computed in
advance for the very pixels that its student will see.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.recipes import Recipe
from training.tf_keras_setup import tf


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How a run augments its training images."""

    seed: int
    cutout: float = 0.0
    """Side of the erased square, as a fraction of the image's side, in [0, 1)."""
    alternate_flips: bool = False
    """Flip each image in every second epoch, instead of with probability 1/2 in each."""
    mixup: float = 0.0
    """Fraction of the images that is blended with another training image, in [0, 1]."""
    flip: bool = True
    """Whether images are flipped horizontally at all."""

    @classmethod
    def of(cls, recipe: Recipe) -> "Augmentation | None":
        """Of a recipe; None where it does not augment."""
        if not recipe.augment:
            return None
        mixup = 0.0 if recipe.teacher is None else recipe.mixup
        return cls(recipe.data_seed, recipe.cutout, recipe.alternate_flips, mixup, recipe.flip)

    def draw(
        self, epoch: int, shape: tuple[int, ...], train: NDArray[np.int64]
    ) -> "AugmentationParams":
        """Draws the parameters of every image for one epoch.

        Args:
            epoch: counted from 0.
            shape: of all images, (n, height, width, 3).
            train: indices of the training images, the only ones that are blended into others.
        """
        n, height, width, _ = shape
        dy, dx = height // 8, width // 8
        erased = round(self.cutout * height), round(self.cutout * width)
        # The third number separates these streams from that of the image order (epoch_order).
        random = np.random.default_rng((self.seed, epoch, 1))
        top, left = random.integers(0, 2 * dy + 1, n), random.integers(0, 2 * dx + 1, n)
        flipped = random.random(n) < 0.5
        if self.alternate_flips:
            first = np.random.default_rng((self.seed, 0, 2)).random(n) < 0.5
            flipped = first ^ bool(epoch % 2)
        if not self.flip:
            flipped = np.zeros(n, bool)
        erased_top = random.integers(0, height - erased[0] + 1, n)
        erased_left = random.integers(0, width - erased[1] + 1, n)
        places = np.stack([top, left, flipped, erased_top, erased_left], axis=1)
        mixup = self._draw_mixup(epoch, n, train) if self.mixup else None
        return AugmentationParams(places.astype(np.int32), (dy, dx), erased, mixup)

    def _draw_mixup(self, epoch: int, n: int, train: NDArray[np.int64]) -> "Mixup":
        # In a stream of its own, so that mixup does not change the other parameters.
        random = np.random.default_rng((self.seed, epoch, 3))
        indices = random.choice(train, n)
        lambdas = np.where(random.random(n) < self.mixup, random.uniform(0.5, 1, n), 1)
        return Mixup(indices, lambdas.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Mixup:
    """Which image is blended into each (Zhang et al. 2018, mixup), before any other augmentation.

    Labels are not blended: mixup is only used with a teacher, whose logits are for the blended
    pixels, which gives better students (Beyer et al. 2022, arXiv 2106.05237).
    """

    indices: NDArray[np.int64]
    """(n,), indices of the images that are blended in."""
    lambdas: NDArray[np.float32]
    """(n,), weights of the images themselves, in [0.5, 1]."""


@dataclass(frozen=True, slots=True)
class AugmentationParams:
    """The parameters of every image in one epoch."""

    places: NDArray[np.int32]
    """(n, 5): top and left of the crop, whether it is flipped, top and left of the erased part."""
    margin: tuple[int, int]
    """Rows that are padded above and below, and columns left and right."""
    erased: tuple[int, int]
    """Height and width of the erased rectangle, pixels."""
    mixup: Mixup | None = None

    def mirrored(self, width: int) -> "AugmentationParams":
        """Those that give each image's horizontal mirror.

        Args:
            width: of the images, pixels.
        """
        top, left, flipped, erased_top, erased_left = self.places.T
        erased_left = width - self.erased[1] - erased_left
        places = np.stack([top, left, 1 - flipped, erased_top, erased_left], axis=1)
        return replace(self, places=places.astype(np.int32))

    def extended(self, count: int) -> "AugmentationParams":
        """With `count` rows more, for images that are augmented as others are, but not blended."""
        if not count:
            return self
        n = len(self.places)
        places = np.concatenate([self.places, self.places[np.arange(count) % n]])
        mixup = self.mixup
        if mixup is not None:
            ones, own = np.ones(count, np.float32), np.arange(n, n + count)
            mixup = Mixup(
                np.concatenate([mixup.indices, own]), np.concatenate([mixup.lambdas, ones])
            )
        return replace(self, places=places, mixup=mixup)

    def apply(self, images: Any, places: Any) -> Any:
        """Shifts, flips and erases (DeVries and Taylor 2017, cutout), in one gather of pixels.

        Padding, cropping, flipping and erasing one after the other, each of which copies the batch,
        took more than twice as long on a CPU (docs/gpu.md). Beyond its edges an image is
        mirrored, since a black border would be a feature that no real image has.

        Args:
            images: uint8 or float32 (b, h, w, 3), whole numbers in [0, 255]. On CPUs uint8 is the
                quicker; on GPUs TensorFlow has no gather of it.
            places: int32 (b, 5), their rows of `self.places`.

        Returns:
            Of the same type and shape.
        """
        height, width, channels = images.shape[1:]
        pixels = tf.reshape(images, (-1, channels))
        # Of int32, TensorFlow leaves arithmetic to the host of a GPU.
        places = tf.cast(places, tf.int64)
        top, left, flipped, erased_top, erased_left = (places[:, index, None] for index in range(5))
        y, x = tf.range(height, dtype=tf.int64), tf.range(width, dtype=tf.int64)
        rows = _mirrored(top + y - self.margin[0], height)
        columns = _mirrored(left + x - self.margin[1], width)
        columns = tf.where(flipped > 0, columns[:, ::-1], columns)
        count = tf.shape(places, tf.int64)[0]
        first_of_rows = (tf.range(count)[:, None] * height + rows) * width
        positions = first_of_rows[:, :, None] + columns[:, None, :]
        if all(self.erased):
            in_rows = (y >= erased_top) & (y < erased_top + self.erased[0])
            in_columns = (x >= erased_left) & (x < erased_left + self.erased[1])
            erased = in_rows[:, :, None] & in_columns[:, None, :]
            # The position of one grey pixel behind those of the images.
            positions = tf.where(erased, count * height * width, positions)
            grey = tf.fill((1, channels), tf.cast(128, pixels.dtype))
            pixels = tf.concat([pixels, grey], axis=0)
        return tf.gather(pixels, positions)


def _mirrored(positions: Any, size: int) -> Any:
    """Positions along a side of `size` pixels, those beyond its ends mirrored at them."""
    return size - 1 - tf.abs(size - 1 - tf.abs(positions))


def blend(images: Any, others: Any, lambdas: Any) -> Any:
    """Mixup of a batch: twice uint8 (b, h, w, 3), and float32 (b,), to float32 (b, h, w, 3).

    The results are whole numbers in [0, 255].
    """
    own, other = (tf.cast(one, tf.float32) for one in (images, others))
    weights = lambdas[:, None, None, None]
    return tf.round(weights * own + (1 - weights) * other)
