"""--xla changes nothing but the rounding."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.training.recorded_progress import RecordedProgress
from training.data import Splits
from training.data.on_device import DeviceImages
from training.distillation.loss import accuracy
from training.epochs import FitContext, fit
from training.models.registry import spec_of
from training.optim.build import loss, optimizer
from training.recipes import Recipe, recipe_of
from training.tf_keras_setup import keras, tf

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


@pytest.mark.parametrize("xla", [False, True])
def test_only_the_first_step_of_a_training_is_traced(xla: bool, tmp_path: Path) -> None:
    """Every epoch has new batches, of which the last is smaller."""
    recipe = Recipe("baseline", epochs=3, batch_size=8, augment=True, xla=xla)
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    traces = 0
    after_steps: list[int] = []
    keras_step = model.train_step

    def counted(batch: Any) -> Any:
        nonlocal traces
        traces += 1  # Python runs only while TensorFlow traces
        return keras_step(batch)

    class Progress(RecordedProgress):
        def count(self, what: str, done: int, total: int) -> None:
            super().count(what, done, total)
            after_steps.append(traces)

    model.train_step = counted
    images = RNG.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    context = FitContext(
        recipe=recipe,
        values=images,
        targets=np.arange(30) % 3,
        splits=Splits(np.arange(21), np.arange(21, 30), np.arange(0)),
        checkpoints=tmp_path,
        devices=tf.distribute.get_strategy(),
        progress=Progress(),
        on_device=True,
    )
    assert len(fit(model, context)) == 3
    # TensorFlow traces twice where a function makes variables: here the optimizer's.
    assert after_steps == [traces] * 9
    assert traces == 2
