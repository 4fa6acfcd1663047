"""The moving average is the one of the formula, stands in for the weights, and survives a stop."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from training import checkpoint
from training.optim.ema import WeightEma
from training.tf_keras_setup import keras


def _model():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()]
    )
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    return model


def _data(n=24):
    random = np.random.default_rng(0)
    return random.normal(size=(n, 4)).astype("f4"), random.normal(size=(n, 3)).astype("f4")


def _differ(a, b):
    return any(not np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_it_is_the_average_by_the_formula():
    model = _model()
    ema_decay = WeightEma(model, decay=0.5)
    seen = [model.get_weights()]
    keep_weights = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(model.get_weights())
    )
    model.fit(*_data(), batch_size=2, epochs=1, verbose=0, callbacks=[keep_weights, ema_decay])
    wanted = seen[0]
    for step, weights in enumerate(seen[1:]):
        keep = min(0.5, (1 + step) / (10 + step))
        wanted = [keep * w + (1 - keep) * new for w, new in zip(wanted, weights, strict=True)]
    ema_decay.swap()
    for got, value in zip(model.get_weights(), wanted, strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-6)


def test_it_is_evaluated_and_training_goes_on_with_the_weights():
    """Validation loss is the average's; and with it or without, the weights are the same."""
    images, targets = _data()
    keras.utils.set_random_seed(1)
    alone = _model()
    alone.fit(images, targets, shuffle=False, epochs=3, verbose=0)
    keras.utils.set_random_seed(1)
    model = _model()
    ema_decay = WeightEma(model, decay=0.9)
    history = model.fit(
        images, targets, validation_data=(images, targets), shuffle=False, epochs=3, verbose=0,
        callbacks=[ema_decay],
    ).history  # fmt: skip
    assert not _differ(alone.get_weights(), model.get_weights())
    raw_loss = model.evaluate(images, targets, verbose=0)
    ema_decay.swap()
    assert model.evaluate(images, targets, verbose=0) == pytest.approx(history["val_loss"][-1])
    assert raw_loss != pytest.approx(history["val_loss"][-1])


def test_a_checkpoint_holds_it(tmp_path):
    model = _model()
    ema_decay = WeightEma(model, decay=0.9)
    model.fit(*_data(), epochs=2, verbose=0, callbacks=[ema_decay])
    checkpoint.save(tmp_path, model, ema_decay, [{"loss": 1.0}])
    other = _model()
    restored = WeightEma(other, decay=0.9)
    assert checkpoint.restore(tmp_path, other, restored) == [{"loss": 1.0}]
    for ours, theirs in zip(restored.state, ema_decay.state, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
