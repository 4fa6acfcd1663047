"""Whether this machine trains rightly and quickly on its devices."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.studies.training_input import Comparison, compare_inputs
from benchmarks.studies.training_step import CASES, CompiledStep, compare_compiled, training_step
from training.data.augment import Augmentation
from training.data.on_device import DeviceImages
from training.data.pipeline import batches
from training.gpu import name
from training.optim.precision import set_policy
from training.optim.xla import compiler_error
from training.recipes import Recipe
from training.tf_keras_setup import keras, tf

TOLERANCE = {"float32": 1e-3, "mixed_float16": 5e-2, "mixed_bfloat16": 5e-2}
"""Of the loss of three steps, relative to that of the CPU in float32."""
CHECKED = {
    name: CASES[name]
    for name in (
        "baseline",
        "airbench",
        "edge_m",
        "edge_m distilled",
        "resnet8",
        "vgg16_finetuned",
    )
}
"""Every kind of model, optimizer and loss that is trained whole."""
COMPILED = {"edge_m": CASES["edge_m"]}
"""Compiling takes most of the time."""
_BATCH = 64
_IMAGES = 512
_STEPS = 3


@dataclass(frozen=True, slots=True)
class StepCheck:
    """The loss after three steps from the same weights on the same batch."""

    what: str
    cpu_float32: float
    device_float32: float
    device: float
    """In the precision that is chosen for the device."""


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """What was found."""

    gpus: tuple[str, ...]
    """Product names; empty on a CPU."""
    precision: str
    """Keras' policy that `--precision auto` chooses."""
    steps: tuple[StepCheck, ...]
    pixels: int
    """Compared between the tf.data pipeline and the images on the device."""
    different_pixels: int
    missing_kernel: str | None
    """The error of the first operation of the augmentation that the device has no kernel for; None
    where it has all of them."""
    peak_memory_bytes: int | None
    """Of the first GPU; TensorFlow does not count a CPU's."""
    inputs: tuple[Comparison, ...]
    xla_error: str | None
    """Why XLA does not work here; None where it does."""
    compiled: tuple[CompiledStep, ...]
    """Empty where XLA does not work."""
    seconds: float

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for each thing that is wrong."""
        found = []
        for step in self.steps:
            for policy, actual in (("float32", step.device_float32), (self.precision, step.device)):
                # Written so that NaN is a problem too.
                if not abs(actual - step.cpu_float32) <= TOLERANCE[policy] * step.cpu_float32:
                    found.append(
                        f"{step.what} in {policy}: loss {actual:.5g}, on the CPU in float32 "
                        f"{step.cpu_float32:.5g}"
                    )
        if self.different_pixels:
            found.append(
                f"{self.different_pixels:,} of {self.pixels:,} augmented pixels differ from the "
                "pipeline's"
            )
        if self.missing_kernel is not None:
            found.append(f"the augmentation leaves the device: {self.missing_kernel}")
        return tuple(found)


def self_check(
    on_result: Callable[[str], None],
    *,
    cases: Mapping[str, Recipe] = CHECKED,
    compiled_cases: Mapping[str, Recipe] = COMPILED,
    input_models: tuple[str, ...] = ("edge_m",),
    images: int | None = None,
    batch_size: int | None = None,
    runs: int = 3,
) -> SelfCheck:
    """Checks and measures the devices that a training would use.

    Args:
        on_result: called with a line for each thing that is checked.
        cases: recipes whose losses are compared with the CPU's.
        compiled_cases: recipes whose steps are timed, plain and compiled.
        input_models: recipes that are timed with both roads of the images.
        images: an epoch of these; None is 10,000, on a CPU 1,000.
        batch_size: of the steps that are timed; None is each recipe's own.
        runs: measurements of each time.
    """
    start = time.perf_counter()
    gpus = tuple(map(name, tf.config.list_physical_devices("GPU")))
    precision = set_policy(Recipe("baseline", precision="auto"))
    keras.mixed_precision.set_global_policy("float32")
    on_result(f"devices: {', '.join(gpus) or 'the CPU'}; precision: {precision}")
    steps = []
    for what, recipe in cases.items():
        steps.append(_check_step(what, recipe))
        on_result(
            f"{what}: loss {steps[-1].cpu_float32:.5g} on the CPU in float32, "
            f"{steps[-1].device_float32:.5g} on the device, {steps[-1].device:.5g} in {precision}"
        )
    pixels, different, missing = _check_images()
    on_result(f"augmented pixels that differ from the pipeline's: {different:,} of {pixels:,}")
    inputs = compare_inputs(
        input_models,
        images or (10_000 if gpus else 1000),
        runs,
        lambda one: on_result(
            f"{one.what}, {one.images:,} images: pipeline {one.pipeline_s:.3f} s, on the device "
            f"{one.on_device_s:.3f} s"
        ),
    )
    xla_error = compiler_error()
    if xla_error is not None:
        on_result(f"XLA does not work: {xla_error}")
    compiled = compare_compiled(
        batch_size,
        runs,
        lambda one: on_result(
            f"{one.what}, step: plain {one.plain_s * 1e3:.1f} ms, by XLA "
            f"{one.compiled_s * 1e3:.1f} ms after {one.compiling_s:.1f} s"
        ),
        compiled_cases if xla_error is None else {},
    )
    return SelfCheck(
        gpus=gpus,
        precision=precision,
        steps=tuple(steps),
        pixels=pixels,
        different_pixels=different,
        missing_kernel=missing,
        peak_memory_bytes=_peak_memory() if gpus else None,
        inputs=tuple(inputs),
        xla_error=xla_error,
        compiled=tuple(compiled),
        seconds=time.perf_counter() - start,
    )


def device() -> str:
    """The first GPU, or the CPU where there is none."""
    return "/GPU:0" if tf.config.list_logical_devices("GPU") else "/CPU:0"


def _check_step(what: str, recipe: Recipe) -> StepCheck:
    def loss(where: str, recipe: Recipe) -> float:
        with tf.device(where):
            step = training_step(recipe, _BATCH, xla=False)
            return [step() for _ in range(_STEPS)][-1]

    in_float32 = replace(recipe, precision="float32")
    # Else Ampere and later multiply in TensorFloat-32, with 10 bits of fraction.
    fast = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        cpu, on_device = loss("/CPU:0", in_float32), loss(device(), in_float32)
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(fast)
    return StepCheck(what, cpu, on_device, loss(device(), replace(recipe, precision="auto")))


def _check_images() -> tuple[int, int, str | None]:
    """Compares augmented pixels, with mixup: how many, how many differ, and what has no kernel."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (_IMAGES, 32, 32, 3), dtype=np.uint8)
    targets, order = np.zeros(_IMAGES, np.int64), random.permutation(_IMAGES)
    params = Augmentation(0, cutout=0.25, mixup=0.5).draw(0, images.shape, order)
    [(expected, _)] = batches(images, targets, order, _IMAGES, params=params)
    missing = None
    with tf.device(device()):
        on_device = DeviceImages(images)
        [(rows, _)] = on_device.batches(targets, order, _IMAGES, params)
        soft = tf.config.get_soft_device_placement()
        tf.config.set_soft_device_placement(False)  # an operation without a kernel is then an error
        try:
            actual = on_device.pixels(rows, params)
        except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
            missing = str(error).splitlines()[0]
        finally:
            tf.config.set_soft_device_placement(soft)
        if missing is not None:
            actual = on_device.pixels(rows, params)
    different = int(np.count_nonzero(actual.numpy() != expected.numpy()))
    return expected.numpy().size, different, missing


def _peak_memory() -> int:
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
