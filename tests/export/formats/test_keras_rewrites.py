"""Rewrites must not change an answer, whatever the stack; and must save what they promise."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("tensorflow")

from export.formats import tflite
from export.formats.keras_rewrites import optimize_for_xnnpack
from export.validation.layer_sqnr import tflite_operators
from tinysight.engines.litert import LiteRTEngine
from training.models.edge import build as edge
from training.models.resnet import build as resnet
from training.tf_keras_setup import keras

Block = tuple[int, int, int, str, bool, int]

BLOCKS = st.lists(
    st.tuples(
        st.integers(1, 5),  # filters
        st.sampled_from([1, 2, 3, 5]),  # kernel
        st.sampled_from([1, 1, 2]),  # stride
        st.sampled_from(["valid", "valid", "valid", "same"]),
        st.booleans(),  # batch normalization
        st.sampled_from([0, 2, 3]),  # pooling
    ),
    min_size=1,
    max_size=3,
)


def stack(height: int, width: int, channels: int, blocks: list[Block], seed: int) -> Any:
    """A chain of such blocks, a Flatten and a Dense; None where the image is too small for it."""
    keras.utils.set_random_seed(seed)
    image = x = keras.Input((height, width, channels))
    for filters, kernel, stride, padding, normalized, pool in blocks:
        if padding == "valid" and min(x.shape[1:3]) < kernel:
            return None
        x = keras.layers.Conv2D(filters, kernel, stride, padding, bias_initializer="normal")(x)
        if normalized:
            x = keras.layers.BatchNormalization(gamma_initializer="normal")(x)
        x = keras.layers.ReLU()(x)
        if pool:
            if min(x.shape[1:3]) < pool:
                return None
            x = keras.layers.MaxPooling2D(pool)(x)
    return keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(x)))


@settings(max_examples=40)
@given(
    height=st.integers(6, 17),
    width=st.integers(6, 17),
    channels=st.sampled_from([1, 3, 5]),
    blocks=BLOCKS,
    seed=st.integers(0, 99),
)
def test_any_stack_answers_as_before(
    height: int, width: int, channels: int, blocks: list[Block], seed: int
) -> None:
    model = stack(height, width, channels, blocks, seed)
    if model is None:
        return
    images = np.random.default_rng(seed).normal(size=(3, height, width, channels)).astype("f")
    expected = model(images).numpy()
    np.testing.assert_allclose(
        optimize_for_xnnpack(model)(images).numpy(), expected, rtol=1e-4, atol=1e-5
    )


def work(model: Any) -> dict[str, int]:
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    return {c.name: int(np.prod(c.output_shape[1:3])) for c in convolutions}


def test_the_baselines_dead_border_is_not_computed(baseline: Any) -> None:
    """Its second pooling drops the thirteenth row: 13 x 13 becomes 12 x 12, and so to the image."""
    assert work(baseline) == {"conv1": 900, "conv2": 169, "conv3": 16}
    assert work(optimize_for_xnnpack(baseline)) == {"conv1": 28 * 14, "conv2": 144, "conv3": 16}
    live = optimize_for_xnnpack(baseline).get_layer("live_part")
    assert live.output_shape == (None, 30, 30, 3)


def test_a_border_that_matters_stays() -> None:
    model = stack(8, 8, 3, [(4, 3, 1, "same", False, 2)], 0)
    assert [
        layer.name for layer in optimize_for_xnnpack(model).layers if layer.name == "live_part"
    ] == []


def test_an_odd_width_is_not_paired() -> None:
    model = stack(9, 9, 3, [(4, 2, 1, "valid", False, 0)], 0)
    (convolution,) = [
        x for x in optimize_for_xnnpack(model).layers if isinstance(x, keras.layers.Conv2D)
    ]
    assert convolution.filters == 4


def test_models_that_are_no_chain_are_left_alone() -> None:
    model = resnet("resnet8", (32, 32, 3), 10)
    assert optimize_for_xnnpack(model) is model


def test_the_edge_family_keeps_every_weight() -> None:
    model = edge("edge_s", (32, 32, 3), 10)
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    np.testing.assert_allclose(optimize_for_xnnpack(model)(images), model(images), atol=1e-5)


def test_litert_runs_it_in_one_piece_and_any_batch(
    baseline: Any, images: NDArray[np.uint8]
) -> None:
    content = tflite.static_w8a8(baseline, images)
    engine = LiteRTEngine(content, (32, 32), 10)
    operators = tflite_operators(content)
    assert operators["DELEGATE"] == 1
    assert not {"SHAPE", "PACK"} & set(operators)
    together = engine.run(images[:5])
    alone = np.concatenate([engine.run(image[None]) for image in images[:5]])
    np.testing.assert_allclose(together, alone, atol=1e-3)
