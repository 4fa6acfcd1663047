"""Test-time augmentation: a model's mean logits over an image and changed copies of it.

As airbench evaluates (Jordan 2024, arXiv 2404.00498, section 3.6): the mirror halves, the
translations quarter the weight of what they are averaged with.
"""

from typing import Any, Literal, get_args

from training.tf_keras_setup import keras, tf

TestTimeAugmentation = Literal["none", "mirror", "translate"]
CHOICES = get_args(TestTimeAugmentation)
_SHIFT = 1
"""Pixels, down and right, and up and left."""


def augmented(model: Any, kind: TestTimeAugmentation) -> Any:
    """A model from the same images, float32 (n, h, w, 3), to mean logits, float32 (n, classes).

    Args:
        model: from images to logits.
        kind: "mirror" is the mean over the image and its horizontal mirror; "translate" that mean
            for the image, with weight 1/2, and for the image moved by one pixel down and right and
            by one up and left, with weight 1/4 each; takes 2 and 6 times as long.
    """
    if kind == "none":
        return model
    images = keras.Input(model.input_shape[1:])
    if kind == "mirror":
        return keras.Model(images, _mirrored(model, images))
    height, width = model.input_shape[1:3]
    around = tf.pad(images, [[0, 0], [_SHIFT, _SHIFT], [_SHIFT, _SHIFT], [0, 0]], mode="REFLECT")
    moved = [
        _mirrored(model, around[:, start : start + height, start : start + width])
        for start in (0, 2 * _SHIFT)
    ]
    both = keras.layers.Average(dtype="float32")(moved)
    mean = keras.layers.Average(dtype="float32")([_mirrored(model, images), both])
    return keras.Model(images, mean)


def _mirrored(model: Any, images: Any) -> Any:
    both = [model(images), model(tf.reverse(images, axis=[2]))]
    return keras.layers.Average(dtype="float32")(both)  # the policy's bfloat16 would round it
