"""Muon turns kernels by the rate alone, and everything else as SGD does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("tensorflow")

from training import checkpoint
from training.optim.muon import Muon, orthogonal
from training.tf_keras_setup import keras, tf


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 24),
    st.integers(1, 24),
    st.floats(1e-3, 1e3),
    st.integers(0, 2**32 - 1),
    st.sampled_from([(tf.float32, 2e-2), (tf.bfloat16, 1e-1)]),
)
def test_a_matrix_becomes_nearly_orthogonal(
    rows: int, columns: int, scale: float, seed: int, products: tuple[Any, float]
) -> None:
    dtype, rounding = products
    matrix = scale * np.random.default_rng(seed).normal(size=(rows, columns)).astype("f4")
    u, values, vt = np.linalg.svd(matrix, full_matrices=False)
    actual = orthogonal(tf.constant(matrix), dtype).numpy()
    assert actual.dtype == np.float32
    # The directions stay, and all those that are not lost in rounding count about the same.
    alike = u.T @ actual @ vt.T
    np.testing.assert_allclose(alike, np.diag(np.diag(alike)), atol=rounding)
    clear = np.diag(alike)[values > 1e-2 * np.linalg.norm(values)]
    assert clear.min() > 0.5
    assert clear.max() < 1.3


def test_a_training_in_bfloat16_orthogonalizes_in_bfloat16() -> None:
    gradient = tf.constant(np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype("f4"))

    def step(policy: str) -> NDArray[np.float32]:
        keras.mixed_precision.set_global_policy(policy)
        try:
            kernel, muon = tf.Variable(tf.ones_like(gradient)), Muon(1.0, momentum=0.0)
        finally:
            keras.mixed_precision.set_global_policy("float32")
        before = kernel.numpy() * 2 / np.linalg.norm(kernel.numpy())
        muon.apply_gradients([(gradient, kernel)])
        return np.asarray(before - kernel.numpy())

    rows = tf.reshape(gradient, (-1, 4))
    for policy, dtype in (("float32", tf.float32), ("mixed_bfloat16", tf.bfloat16)):
        turn = orthogonal(rows, dtype).numpy().reshape(gradient.shape)
        np.testing.assert_allclose(step(policy), turn, atol=1e-6)
    assert (orthogonal(rows).numpy() != orthogonal(rows, tf.bfloat16).numpy()).any()


def test_no_gradient_turns_nothing() -> None:
    assert not orthogonal(tf.zeros((3, 2))).numpy().any()


def _model() -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )
    model.compile(optimizer=Muon(0.1, momentum=0.5, sgd_lr_ratio=3.0), loss="mse")
    return model


def _data(n: int = 16) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    random = np.random.default_rng(0)
    return random.normal(size=(n, 8, 8, 3)).astype("f4"), random.normal(size=(n, 2)).astype("f4")


def _gradients(model: Any, images: NDArray[np.float32], targets: NDArray[np.float32]) -> Any:
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(images, training=True) - targets) ** 2)
    return tape.gradient(loss, model.trainable_weights)


def test_a_step_is_the_formulas() -> None:
    images, targets = _data()
    model, twin = _model(), _model()
    kernel, *others = [weight.numpy() for weight in twin.trainable_weights]
    first = [gradient.numpy() for gradient in _gradients(twin, images, targets)]
    model.train_on_batch(images, targets)
    actual, *actual_others = [weight.numpy() for weight in model.trainable_weights]
    # Nesterov from rest: gradient + momentum * gradient; orthogonal() does not ask for its length.
    turn = orthogonal(tf.constant(first[0].reshape(-1, 4))).numpy().reshape(kernel.shape)
    np.testing.assert_allclose(actual, kernel * 2 / np.linalg.norm(kernel) - 0.1 * turn, atol=1e-4)
    for before, after, gradient in zip(others, actual_others, first[1:], strict=True):
        np.testing.assert_allclose(after, before - 0.1 * 3 * 1.5 * gradient, atol=1e-5)


def test_a_kernels_length_does_not_grow() -> None:
    images, targets = _data()
    model = _model()
    for _ in range(30):
        model.train_on_batch(images, targets)
    assert np.linalg.norm(model.layers[0].get_weights()[0]) == pytest.approx(2, abs=0.2)


def test_its_momentum_survives_a_stop(tmp_path: Path) -> None:
    images, targets = _data()
    unbroken = _model()
    for _ in range(6):
        unbroken.train_on_batch(images, targets)
    stopped = _model()
    for _ in range(3):
        stopped.train_on_batch(images, targets)
    checkpoint.save(tmp_path, stopped, None, [{"loss": 0.0}])
    resumed = _model()
    assert len(checkpoint.restore(tmp_path, resumed, None)) == 1
    for _ in range(3):
        resumed.train_on_batch(images, targets)
    for actual, expected in zip(resumed.get_weights(), unbroken.get_weights(), strict=True):
        np.testing.assert_array_equal(actual, expected)
