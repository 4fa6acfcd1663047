"""--xla changes nothing but the rounding."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from training.data.on_device import DeviceImages
from training.distillation.loss import accuracy
from training.models.registry import spec_of
from training.optim.build import loss, optimizer
from training.recipes import Recipe, recipe_of
from training.tf_keras_setup import keras

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
TARGETS = np.arange(8)


CASES = {
    "adam": recipe_of("baseline"),
    "muon": recipe_of("16s2-16"),
    "sgd": replace(recipe_of("16s2-16"), optimizer="sgd", learning_rate=0.1),
    "teacher": replace(recipe_of("baseline"), teacher="0" * 64),
}


def _losses(recipe: Recipe, xla: bool) -> list[float]:
    keras.utils.set_random_seed(0)
    model = spec_of(recipe.model).build(recipe, (32, 32, 3), 10)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0  # XLA has random numbers of its own
    model.compile(
        optimizer=optimizer(recipe, 100), loss=loss(recipe, 10), metrics=[accuracy], jit_compile=xla
    )
    images, keras_step = DeviceImages(IMAGES), model.train_step
    model.train_step = lambda batch: keras_step((images.pixels(batch[0], None), batch[1]))
    targets: Any = TARGETS
    if recipe.teacher is not None:
        logits = np.random.default_rng(1).normal(size=(8, 10))
        targets = np.column_stack([TARGETS, logits]).astype(np.float32)
    batches = images.batches(targets, np.arange(8), 8)
    return [float(model.fit(batches, verbose=0).history["loss"][0]) for _ in range(3)]


@pytest.mark.parametrize("case", CASES)
def test_compiled_steps_have_the_same_losses(case: str) -> None:
    expected = _losses(CASES[case], xla=False)
    assert _losses(CASES[case], xla=True) == pytest.approx(expected, rel=1e-4)
    assert expected[2] != expected[0]
