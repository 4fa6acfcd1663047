"""--xla changes nothing but the rounding, and is chosen where it can be.

`python -m benchmarks training --xla --precision float32` compares the models that take minutes.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tests.training.recorded_progress import RecordedProgress
from tests.training.simulated_gpus import L4, T4, simulate
from training.data import Splits
from training.data.on_device import DeviceImages
from training.data.outliers import NO_CLASS
from training.distillation.loss import KnownAccuracy
from training.epochs import FitContext, fit
from training.models.registry import spec_of
from training.optim.build import loss, optimizer
from training.optim.xla import WRONG, XlaError, compiler_error, compiles_step
from training.recipes import Recipe, recipe_of
from training.tf_keras_setup import keras, tf

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
FEATURES = RNG.random((8, 1, 1, 512), dtype=np.float32)
TARGETS = np.array([0, 1, 2, NO_CLASS, 4, 5, NO_CLASS, 7])

STACK = "16s2-16"
TEACHER = "0" * 64
CASES = {
    "baseline": recipe_of("baseline"),
    "baseline distilled": replace(recipe_of("baseline"), teacher=TEACHER),
    "baseline_distilled": replace(recipe_of("baseline_distilled"), teacher=TEACHER),
    "vgg16_frozen": recipe_of("vgg16_frozen"),
    "resnet8": recipe_of("resnet8"),
    "muon distilled": replace(recipe_of(STACK), teacher=TEACHER),
    "branches": replace(recipe_of(STACK), branches=True),
    "layerwise sgd": replace(
        recipe_of(STACK), optimizer="sgd", learning_rate=0.1, layer_decay=0.9, l2=5e-4
    ),
}


def _losses(recipe: Recipe, xla: bool) -> list[float]:
    """Of the first three steps, from images on the device; of a head, from features."""
    keras.utils.set_random_seed(0)
    spec = spec_of(recipe.model)
    head = spec.frozen_base is not None
    model = spec.build(recipe, FEATURES.shape[1:] if head else IMAGES.shape[1:], 10)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0  # XLA has random numbers of its own
    model.compile(
        optimizer=optimizer(recipe, 100),
        loss=loss(recipe, 10),
        metrics=[KnownAccuracy()],
        jit_compile=xla,
    )
    targets: Any = TARGETS
    if recipe.teacher is not None:
        logits = np.random.default_rng(1).normal(size=(8, 10))
        targets = np.column_stack([TARGETS, logits]).astype(np.float32)
    if head:
        known = np.maximum(targets, 0)  # a head sees no outliers
        batches = tf.data.Dataset.from_tensors((FEATURES, known))
    else:
        images, keras_step = DeviceImages(IMAGES), model.train_step
        model.train_step = lambda batch: keras_step((images.pixels(batch[0], None), batch[1]))
        batches = images.batches(targets, np.arange(8), 8)
    return [float(model.fit(batches, verbose=0).history["loss"][0]) for _ in range(3)]


@pytest.mark.parametrize("case", CASES)
def test_compiled_steps_have_the_same_losses(case: str) -> None:
    expected = _losses(CASES[case], xla=False)
    assert _losses(CASES[case], xla=True) == pytest.approx(expected, rel=1e-4)
    assert expected[2] != expected[0]


@pytest.mark.xfail(strict=True, reason="tensorflow/tensorflow#118344; once fixed, empty WRONG")
def test_xla_enlarges_images_threefold() -> None:
    pixels = tf.constant(IMAGES / 255, tf.float32)
    layer = keras.layers.UpSampling2D(3, interpolation="bilinear")
    expected = layer(pixels).numpy()
    actual = tf.function(layer, jit_compile=True)(pixels).numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.fixture
def own_compiler_error() -> Iterator[None]:
    compiler_error.cache_clear()
    yield
    compiler_error.cache_clear()


@pytest.mark.usefixtures("own_compiler_error")
def test_it_is_the_default_on_a_single_gpu_that_it_works_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = recipe_of("edge_m")
    assert not compiles_step(recipe, 1)
    simulate(monkeypatch, L4)
    assert compiles_step(recipe, 1)
    assert not compiles_step(replace(recipe, xla=False), 1)
    assert not compiles_step(replace(recipe, deterministic=True), 1)
    assert not compiles_step(recipe_of("vgg16_upsampled"), 1)
    simulate(monkeypatch, L4, T4)
    assert not compiles_step(recipe, 2)
    simulate(monkeypatch, L4)
    # XLA has no strings: what its compiler says where libdevice is missing comes the same way.
    monkeypatch.setattr(tf, "exp", lambda x: tf.strings.length(tf.strings.as_string(x)))
    compiler_error.cache_clear()
    assert not compiles_step(recipe, 1)
    error = compiler_error()
    assert error is not None
    assert "unsupported operations" in error
    assert "\n" not in error


def test_what_it_cannot_compile_is_refused_in_one_line() -> None:
    with pytest.raises(XlaError, match=r"^--xla compiles for one device, and this training uses 2"):
        compiles_step(replace(recipe_of("edge_m"), xla=True), 2)
    for model in WRONG:
        with pytest.raises(XlaError, match=f"XLA computes {model} wrongly"):
            compiles_step(replace(recipe_of(model), xla=True), 1)


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
