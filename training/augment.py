"""Augmentation of whole batches, as a function of seed, epoch and step alone."""

from typing import Any

from training.keras import tf


def flip_and_shift(images: Any, seed: Any) -> Any:
    """Mirrors half of the images and shifts each by up to an eighth of its side.

    On whole batches: image by image, the pipeline would take two cores longer than the model.

    Args:
        images: uint8 (n, h, w, 3).
        seed: two int64; the same ones give the same result on every machine.
    """
    shape = tf.shape(images)
    n, height, width = shape[0], shape[1], shape[2]
    # The edge mirrored outwards: a black border would be a feature that no real image has.
    dy, dx = height // 8, width // 8
    padded = tf.pad(images, [[0, 0], [dy, dy], [dx, dx], [0, 0]], mode="REFLECT")
    seeds = tf.random.experimental.stateless_split(seed, 3)
    top = tf.random.stateless_uniform([n], seeds[0], 0, 2 * dy + 1, tf.int32)
    left = tf.random.stateless_uniform([n], seeds[1], 0, 2 * dx + 1, tf.int32)
    rows = top[:, None] + tf.range(height)
    columns = left[:, None] + tf.range(width)
    mirrored = tf.random.stateless_uniform([n, 1], seeds[2]) < 0.5
    columns = tf.where(mirrored, columns[:, ::-1], columns)
    shifted = tf.gather(padded, rows, axis=1, batch_dims=1)
    return tf.gather(shifted, columns, axis=2, batch_dims=1)


def cut_out(images: Any, part: float, seed: Any) -> Any:
    """Greys a square of `part` of the side, anywhere in each image: DeVries and Taylor (2017).

    Args:
        images: uint8 (n, h, w, 3).
        part: of the height and width, in (0, 1); the square lies wholly within the image.
        seed: two int64, as for `flip_and_shift`.
    """
    shape = tf.shape(images)
    n, height, width = shape[0], shape[1], shape[2]
    tall = tf.cast(tf.round(part * tf.cast(height, tf.float32)), tf.int32)
    wide = tf.cast(tf.round(part * tf.cast(width, tf.float32)), tf.int32)
    seeds = tf.random.experimental.stateless_split(seed, 2)
    top = tf.random.stateless_uniform([n, 1], seeds[0], 0, height - tall + 1, tf.int32)
    left = tf.random.stateless_uniform([n, 1], seeds[1], 0, width - wide + 1, tf.int32)
    rows, columns = tf.range(height)[None], tf.range(width)[None]
    in_rows = (rows >= top) & (rows < top + tall)
    in_columns = (columns >= left) & (columns < left + wide)
    erased = in_rows[:, :, None, None] & in_columns[:, None, :, None]
    return tf.where(erased, tf.constant(128, images.dtype), images)
