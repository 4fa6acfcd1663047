"""Whether XLA compiles the training step."""

from functools import cache

from tinysight.errors import TinysightError
from training.recipes import Recipe
from training.tf_keras_setup import tf

WRONG = frozenset({"vgg16_upsampled"})
"""Models that XLA computes wrongly: of images enlarged threefold, a tenth of the pixels
(https://github.com/tensorflow/tensorflow/issues/118344)."""


class XlaError(TinysightError):
    """XLA cannot compile the step that a recipe asks it to; the message says what to do."""


def compiles_step(recipe: Recipe, replicas: int) -> bool:
    """Whether the step of a training is compiled.

    Without a setting, where a single GPU trains and XLA works on it: on CPUs a compiled step is
    slower. Not with deterministic kernels, which nobody has tried with XLA.

    Args:
        recipe: of the training.
        replicas: of the tf.distribute strategy.

    Raises XlaError where the recipe asks for it and the model is one of `WRONG`, or there are
    several replicas: XLA cannot reach a variable's mirrors on other devices
    (https://github.com/keras-team/tf-keras/issues/385).
    """
    if recipe.xla and recipe.model in WRONG:
        raise XlaError(f"XLA computes {recipe.model} wrongly: omit --xla")
    if recipe.xla and replicas > 1:
        raise XlaError(
            f"--xla compiles for one device, and this training uses {replicas}: omit it, or let "
            "TensorFlow see one (CUDA_VISIBLE_DEVICES=0)"
        )
    if recipe.xla is not None:
        return recipe.xla
    if recipe.deterministic or recipe.model in WRONG:
        return False
    on_one_gpu = replicas == 1 and bool(tf.config.list_physical_devices("GPU"))
    return on_one_gpu and compiler_error() is None


@cache
def compiler_error() -> str | None:
    """Why XLA compiles nothing for the default device, in one line; None where it does.

    On a GPU it needs libdevice and ptxas, which tensorflow[and-cuda] brings and other ways to
    install TensorFlow do not (https://github.com/conda-forge/tensorflow-feedstock/issues/420).
    """
    try:
        # An exponential is a routine of libdevice.
        tf.function(tf.exp, jit_compile=True)(tf.constant([0.0])).numpy()
    except tf.errors.OpError as error:
        return (error.message or type(error).__name__).splitlines()[0]
    return None
