"""The moving average: its formula, validation with it, and its checkpoints."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("tensorflow")

from training import checkpoint
from training.optim.ema import WeightEma
from training.tf_keras_setup import keras

Weights = list[NDArray[np.float32]]


def _model() -> Any:
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()]
    )
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    return model


def _data(n: int = 24) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    random = np.random.default_rng(0)
    return random.normal(size=(n, 4)).astype("f4"), random.normal(size=(n, 3)).astype("f4")


def _differ(a: Weights, b: Weights) -> bool:
    return any(not np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_it_is_the_average_by_the_formula() -> None:
    model = _model()
    ema = WeightEma(model, decay=0.5)
    seen = [model.get_weights()]
    keep_weights = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(model.get_weights())
    )
    model.fit(*_data(), batch_size=2, epochs=1, verbose=0, callbacks=[keep_weights, ema])
    expected = seen[0]
    for step, weights in enumerate(seen[1:]):
        keep = min(0.5, (1 + step) / (10 + step))
        expected = [keep * w + (1 - keep) * new for w, new in zip(expected, weights, strict=True)]
    ema.swap()
    for actual, value in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(actual, value, rtol=1e-4, atol=1e-6)


def test_it_is_evaluated_and_training_goes_on_with_the_weights() -> None:
    """Validation loss is the average's; and with it or without, the weights are the same."""
    images, targets = _data()
    keras.utils.set_random_seed(1)
    alone = _model()
    alone.fit(images, targets, shuffle=False, epochs=3, verbose=0)
    keras.utils.set_random_seed(1)
    model = _model()
    ema = WeightEma(model, decay=0.9)
    history = model.fit(
        images, targets, validation_data=(images, targets), shuffle=False, epochs=3, verbose=0,
        callbacks=[ema],
    ).history  # fmt: skip
    assert not _differ(alone.get_weights(), model.get_weights())
    raw_loss = model.evaluate(images, targets, verbose=0)
    ema.swap()
    assert model.evaluate(images, targets, verbose=0) == pytest.approx(history["val_loss"][-1])
    assert raw_loss != pytest.approx(history["val_loss"][-1])


def test_a_checkpoint_holds_it(tmp_path: Path) -> None:
    model = _model()
    ema = WeightEma(model, decay=0.9)
    model.fit(*_data(), epochs=2, verbose=0, callbacks=[ema])
    checkpoint.save(tmp_path, model, ema, [{"loss": 1.0}])
    other = _model()
    restored = WeightEma(other, decay=0.9)
    assert checkpoint.restore(tmp_path, other, restored) == [{"loss": 1.0}]
    for ours, theirs in zip(restored.state, ema.state, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
