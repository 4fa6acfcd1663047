"""The precision of a training: what the hardware computes fastest."""

from typing import Any

from tinysight.device import info
from training.recipes import Recipe
from training.tf_keras_setup import keras, tf

_POLICY = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}

_AMPERE = (8, 0)
"""The first compute capability with bfloat16 in its tensor cores."""


def set_policy(recipe: Recipe) -> str:
    """Sets Keras' global policy for a recipe and returns its name.

    `auto` is bfloat16 on GPUs of compute capability 8.0 (Ampere) or more, float16 on older GPUs
    (neither tested on one), bfloat16 on a CPU that has instructions for it (AMX, AVX512-BF16), and
    else float32. Keras scales the loss in float16, whose smallest numbers gradients fall below;
    bfloat16 has the exponents of float32 and needs no scaling.
    """
    precision: str = recipe.precision
    if precision == "auto":
        features = set(info.describe().features)
        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            precision = "bfloat16" if all(map(_computes_bfloat16, gpus)) else "float16"
        elif features & {"amx_bf16", "avx512_bf16"}:
            precision = "bfloat16"
        else:
            precision = "float32"
    keras.mixed_precision.set_global_policy(_POLICY[precision])
    return _POLICY[precision]


def _computes_bfloat16(gpu: Any) -> bool:
    details = tf.config.experimental.get_device_details(gpu)
    return bool(details.get("compute_capability", (0, 0)) >= _AMPERE)
