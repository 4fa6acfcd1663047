"""One training step by itself: its loss, and its time plain and compiled by XLA.

The batch is random: its content changes no time.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from training.data.outliers import NO_CLASS
from training.distillation.loss import KnownAccuracy
from training.models.registry import spec_of
from training.optim.build import loss, optimizer
from training.optim.precision import set_policy
from training.optim.xla import WRONG
from training.recipes import DISTILL_ONLY, RECIPES, RUN_ONLY, Recipe
from training.tf_keras_setup import keras, tf

_SHAPE = (32, 32, 3)
_FEATURES = (1, 1, 512)
"""Of VGG16's frozen base for such an image."""
_CLASSES = 10
_STEPS = 1000
"""Of the schedule of the learning rate."""

_OUTLIERS = 4
"""Every so many images, one is a picture of no class."""


def _cases() -> dict[str, Recipe]:
    cases = {}
    for name, recipe in RECIPES.items():
        if name in WRONG:
            continue
        if name not in DISTILL_ONLY:
            cases[name] = recipe
        if name not in RUN_ONLY:
            cases[f"{name} distilled"] = replace(recipe, teacher="0" * 64)
    return cases


CASES: Mapping[str, Recipe] = _cases()
"""Every model that XLA may compile, on labels, some of which are of no class, and distilled, where
it can be trained so: a frozen base's head on labels alone."""


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """Plain and compiled step of a recipe, measured alternately; medians."""

    what: str
    """A key of `CASES`."""
    batch_size: int
    plain_s: float
    compiled_s: float
    ratio: float
    """Median of compiled over plain seconds, of neighbouring measurements."""
    compiling_s: float
    """Seconds of the compiled step's first call."""
    difference: float
    """Largest relative difference of a loss of the first three steps."""


def training_step(recipe: Recipe, batch_size: int, *, xla: bool) -> Callable[[], float]:
    """A new model's step on one batch, which returns its loss.

    Called where the model shall live: within a `tf.device`, say. There is no dropout, so that two
    models of a recipe have the same losses.

    Args:
        recipe: its weights are random, those of ImageNet included. Of a model with a frozen base,
            the step is that of the head.
        batch_size: images.
        xla: whether the step is compiled.
    """
    random = np.random.default_rng(0)
    spec = spec_of(recipe.model)
    shape = _SHAPE if spec.frozen_base is None else _FEATURES
    images = tf.constant(random.random((batch_size, *shape), dtype=np.float32))
    labels = random.integers(0, _CLASSES, batch_size)
    if spec.frozen_base is None:
        labels[::_OUTLIERS] = NO_CLASS
    logits = random.normal(size=(batch_size, _CLASSES))
    with_logits = np.column_stack([labels, logits]).astype(np.float32)
    targets = tf.constant(labels if recipe.teacher is None else with_logits)
    keras.utils.set_random_seed(0)
    set_policy(recipe)
    try:
        model = spec.build(recipe, shape, _CLASSES)
        for layer in model.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
        model.compile(optimizer(recipe, _STEPS), loss(recipe, _CLASSES), metrics=[KnownAccuracy()])
        model.optimizer.build(model.trainable_variables)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    step = tf.function(model.train_step, jit_compile=xla)

    def loss_of_step() -> float:
        model.reset_metrics()
        return float(step((images, targets))["loss"])

    return loss_of_step


def compare_compiled(
    batch_size: int | None,
    runs: int,
    on_result: Callable[[CompiledStep], None],
    cases: Mapping[str, Recipe] = CASES,
) -> list[CompiledStep]:
    """Measures each recipe's step.

    Args:
        batch_size: images; None is the recipe's own.
        runs: measurements of each, at least 1.
        on_result: called with each result, as soon as it is there.
        cases: recipes by name.
    """
    results = []
    for what, recipe in cases.items():
        keras.backend.clear_session()  # else the graphs of all models are kept
        size = batch_size or recipe.batch_size
        plain = training_step(recipe, size, xla=False)
        compiled = training_step(recipe, size, xla=True)
        first = plain()
        start = time.perf_counter()
        losses = [(first, compiled())]
        compiling = time.perf_counter() - start
        losses += [(plain(), compiled()) for _ in range(2)]
        times = np.array([[_seconds(plain), _seconds(compiled)] for _ in range(runs)])
        one = CompiledStep(
            what=what,
            batch_size=size,
            plain_s=float(np.median(times[:, 0])),
            compiled_s=float(np.median(times[:, 1])),
            ratio=float(np.median(times[:, 1] / times[:, 0])),
            compiling_s=compiling,
            difference=max(abs(b - a) / abs(a) for a, b in losses),
        )
        results.append(one)
        on_result(one)
    return results


def _seconds(step: Callable[[], float]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start
