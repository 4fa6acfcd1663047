"""The precision of a training: what the hardware computes fastest."""

from tinysight.device import info
from training.recipes import Recipe
from training.tf_keras_setup import keras, tf

_POLICY = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def set_policy(recipe: Recipe) -> str:
    """Sets Keras' global policy for a recipe and returns its name.

    `auto` is float16 on a GPU (not tested on one), bfloat16 on a CPU that has instructions for it
    (AMX, AVX512-BF16), and else float32.
    """
    precision: str = recipe.precision
    if precision == "auto":
        features = set(info.describe().features)
        if tf.config.list_physical_devices("GPU"):
            precision = "float16"
        elif features & {"amx_bf16", "avx512_bf16"}:
            precision = "bfloat16"
        else:
            precision = "float32"
    keras.mixed_precision.set_global_policy(_POLICY[precision])
    return _POLICY[precision]
