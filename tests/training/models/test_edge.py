"""The edge family and airbench: the notation of stacks, and the initial weights."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tensorflow")

from training.cli import main
from training.conv_stack import STACKS, Stack
from training.models import airbench, edge
from training.run_folder import load_run
from training.tf_keras_setup import keras, tf

stacks = st.lists(st.tuples(st.integers(1, 512), st.sampled_from((1, 2))), min_size=1).map(
    lambda layers: Stack(*map(tuple, zip(*layers, strict=True)))
)


@given(stacks)
def test_the_notation_of_a_stack_is_read_back(stack: Stack) -> None:
    assert Stack.parse(str(stack)) == stack


@pytest.mark.parametrize("text", ["", "32s2-", "32s3", "a", "0s2-4", "32-s2", "-32", "32 - 48"])
def test_what_is_no_stack_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"stack|filters"):
        Stack.parse(text)


@pytest.mark.parametrize("name", STACKS)
def test_a_member_is_convolutions_that_fold_one_average_and_one_dense_layer(name: str) -> None:
    model = edge.build(name, (32, 32, 3), 10)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds[-2:] == ["GlobalAveragePooling2D", "Dense"]
    body = kinds[1:-2]
    assert body == ["Conv2D", "BatchNormalization", "ReLU"] * len(STACKS[name].filters)


def test_a_stack_starts_as_the_identity_of_its_channels() -> None:
    model = edge.build("8s2-8-16", (32, 32, 3), 10)
    until = keras.Model(model.input, [model.get_layer(f"conv{i}").output for i in (1, 2, 3)])
    first, second, third = until.predict(np.random.default_rng(0).random((2, 32, 32, 3)), verbose=0)
    scale = np.sqrt(1 + model.get_layer("conv1_bn").epsilon)  # of a new batch normalization
    np.testing.assert_allclose(second, np.maximum(first, 0) / scale, rtol=1e-5)
    np.testing.assert_allclose(third[..., :8], np.maximum(second, 0) / scale, rtol=1e-5)
    assert np.abs(third[..., 8:]).max() > 0.01  # the others are random


def test_grey_images_leave_airbench_no_constant_channel() -> None:
    """Passed from layer to layer, one made the first gradient too long to learn anything."""
    grey = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 1), np.uint8).repeat(3, axis=3)
    model = airbench.build("airbench", (32, 32, 3), 10)
    airbench.whiten(model, grey)
    with tf.GradientTape() as tape:
        logits = model(grey / np.float32(255), training=True)
        loss = keras.losses.sparse_categorical_crossentropy(
            np.arange(64) % 10, logits, from_logits=True
        )
    gradients = tape.gradient(loss, model.trainable_weights)
    assert max(float(tf.norm(gradient)) for gradient in gradients) < 1000 * np.sqrt(64)


def test_airbench_whitens_its_patches() -> None:
    draw = np.random.default_rng(0)
    soft = draw.integers(0, 256, (64, 9, 9, 3)).repeat(4, axis=1).repeat(4, axis=2)[:, 2:34, 2:34]
    tinted = (soft * (1.0, 0.8, 0.3) + 20).clip(0, 255).astype(np.uint8)
    model = airbench.build("airbench", (32, 32, 3), 10)
    airbench.whiten(model, tinted)
    layer = model.get_layer("whiten")
    assert not layer.trainable_weights
    white = keras.Model(model.input, layer.output).predict(tinted / np.float32(255), verbose=0)
    values = white.reshape(-1, 24)
    np.testing.assert_allclose(values[:, :12], -values[:, 12:], atol=1e-3)
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-3)
    covariance = np.cov(values[:, :12], rowvar=False)
    # Components of almost no variance are held back by epsilon: hence below 1, never above.
    assert np.diag(covariance).max() < 1.01
    assert np.diag(covariance).max() > 0.95
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-2)


def _with_random_statistics(model: keras.Model) -> None:
    draw = np.random.default_rng(3)
    for layer in model.layers:
        if type(layer) is keras.layers.BatchNormalization:
            n = layer.gamma.shape[0]
            layer.set_weights([draw.uniform(0.5, 2, n), *draw.normal(size=(2, n)), draw.random(n)])


@pytest.mark.parametrize("side", [32, 28, 25])
def test_merged_branches_compute_the_same(side: int) -> None:
    """Strides on even and odd sides: there "same" pads differently."""
    trained = edge.build("8s2-8-12s2-12-16s2", (side, side, 3), 10, branches=True)
    _with_random_statistics(trained)
    images = np.random.default_rng(0).random((4, side, side, 3), np.float32)
    plain = edge.merged(trained)
    expected = trained.predict(images, verbose=0)
    np.testing.assert_allclose(plain.predict(images, verbose=0), expected, rtol=1e-4, atol=1e-4)
    as_before = edge.build("8s2-8-12s2-12-16s2", (side, side, 3), 10)
    assert [layer.name for layer in plain.layers] == [layer.name for layer in as_before.layers]


def test_branches_are_the_three_of_repvgg() -> None:
    model = edge.build("8s2-8-12s2", (32, 32, 3), 10, branches=True)
    sums = {layer.name: len(layer.input) for layer in model.layers if "sum" in layer.name}
    assert sums == {"conv2_sum": 3, "conv3_sum": 2}  # no identity where the shape changes


def test_a_run_with_branches_saves_the_plain_model(tmp_path: Path) -> None:
    options = ["--branches", "--epochs", "2", "--batch-size", "128", "--precision", "float32"]
    out = tmp_path / "run"
    assert main(["run", "8s2-8-16s2", *options, "--out", str(out)]) == 0
    run = load_run(out)
    model = keras.models.load_model(run.model_file)
    assert not [layer.name for layer in model.layers if "1x1" in layer.name]
    last = (out / "history.csv").read_text().splitlines()[-1].split(",")
    assert float(last[4]) == pytest.approx(run.result.validation.value, abs=0.01)


def test_only_the_edge_family_has_branches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "baseline", "--branches", "--out", "unused"])
    assert "branches" in capsys.readouterr().err
