"""The first layer's 7-bit weights: small, and better together than each by itself."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from export.passes import Graph, reduce_range
from export.quantization import first_layer
from export.quantization.first_layer import fit_first_layer, quantizable
from export.quantization.post_training import find_ranges, static_w8a8, w8a8
from tinysight.engines.ort import make_session

GRID = 64
"""Levels on each side of 0."""


@pytest.fixture
def eight_bits(
    graph: onnx.ModelProto, images: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> onnx.ModelProto:
    """The quantized graph before its first layer gets 7 bits."""
    with monkeypatch.context() as patch:
        patch.setattr("export.quantization.post_training.fit_first_layer", lambda model, *_: model)
        return static_w8a8(graph, images)


def conv1(model: onnx.ModelProto, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the first layer makes of images, before anything rounds it, (n, filters, h, w)."""
    only = Graph.copy_of(model)
    node = next(node for node in only.nodes if node.name == quantizable(model)[0])
    del only.model.graph.output[:]
    only.model.graph.output.append(
        onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None)
    )
    session = make_session(only.model.SerializeToString(), optimize=False)
    return np.asarray(session.run(None, {"image": images})[0])


def weights(model: onnx.ModelProto) -> NDArray[np.int8]:
    graph = Graph(model)
    stored = graph.producer(next(n for n in graph.nodes if n.name == "conv1").input[1])
    assert stored is not None
    values = graph.constant(stored.input[0])
    assert values is not None
    return values


def test_its_outputs_lose_much_less_than_by_rounding_each(
    graph: onnx.ModelProto, images: NDArray[np.uint8], eight_bits: onnx.ModelProto
) -> None:
    shown, others = images[:32], images[32:]  # fitted on the one, compared on the other
    node = next(node for node in graph.graph.node if node.name == "conv1")
    fitted = fit_first_layer(eight_bits, shown, Graph(graph).constant(node.input[1]))
    rounded = reduce_range(eight_bits, ["conv1"])
    assert np.abs(weights(fitted).astype(int)).max() <= GRID
    exact = conv1(first_in_float(graph, images), others)
    lost = [np.square(conv1(one, others) - exact).mean() for one in (rounded, fitted)]
    assert lost[1] < lost[0] / 4


def first_in_float(graph: onnx.ModelProto, images: NDArray[np.uint8]) -> onnx.ModelProto:
    return w8a8(graph, find_ranges(graph, images), images, float_layers=["conv1"])


def test_the_mean_error_is_in_the_bias(
    graph: onnx.ModelProto, images: NDArray[np.uint8], eight_bits: onnx.ModelProto
) -> None:
    node = next(node for node in graph.graph.node if node.name == "conv1")
    fitted = fit_first_layer(eight_bits, images, Graph(graph).constant(node.input[1]))
    errors = conv1(fitted, images) - conv1(first_in_float(graph, images), images)
    means = errors[:, :, 1:-1, 1:-1].mean(axis=(0, 2, 3))  # without the padding
    assert np.abs(means).max() < 0.25 * errors.std()  # 1.3 without


def test_a_first_layer_in_float32_stays(graph: onnx.ModelProto, images: NDArray[np.uint8]) -> None:
    model = first_in_float(graph, images)
    assert fit_first_layer(model, images) == model


def test_weights_of_eight_bits_are_exact_where_no_others_are_given(
    images: NDArray[np.uint8], eight_bits: onnx.ModelProto
) -> None:
    fitted = fit_first_layer(eight_bits, images)
    rounded = reduce_range(eight_bits, ["conv1"])
    exact = conv1(eight_bits, images)
    lost = [np.square(conv1(one, images) - exact).mean() for one in (rounded, fitted)]
    assert lost[1] < lost[0] / 4
    assert np.abs(weights(fitted).astype(int)).max() <= GRID


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.tuples(
            st.lists(st.floats(-70, 70), min_size=n, max_size=n), st.integers(0, 2**32 - 1)
        )
    )
)
def test_no_step_of_two_weights_is_better(case: tuple[list[float], int]) -> None:
    exact = np.array(case[0])
    n = len(exact)
    root = np.random.default_rng(case[1]).normal(size=(n, n))
    moments = root @ root.T + 0.01 * np.eye(n)
    levels = first_layer._fit(exact, moments)

    def loss(some: NDArray[np.float64]) -> float:
        return float((some - exact) @ moments @ (some - exact))

    assert np.array_equal(levels, np.round(levels))
    assert np.abs(levels).max() <= GRID
    assert loss(levels) <= loss(np.clip(np.round(exact), -GRID, GRID))
    steps = [sign * row for row in np.eye(n) for sign in (1, -1)]
    for one in steps:
        for other in [np.zeros(n), *steps]:
            near = levels + one + other
            if np.abs(near).max() <= GRID and np.abs(one + other).max() == 1:
                assert loss(near) >= loss(levels) - 1e-6 * np.trace(moments)


def test_images_that_are_all_one_colour_are_an_end_too() -> None:
    """Nothing is known of the pixels then, and every change is as good as none."""
    exact = np.array([0.4, -3.6, 70.0])
    assert first_layer._fit(exact, np.zeros((3, 3))).tolist() == [0, -4, GRID]


def test_large_images_give_no_more_patches_than_small_ones() -> None:
    images = np.arange(2 * 96 * 96 * 3, dtype=np.uint8).reshape(2, 96, 96, 3)
    patches = first_layer._patches(images, (4, 4))
    assert len(patches) == 2 * 31 * 31
    expected = images[1, 90:94, 90:94].transpose(2, 0, 1)  # of the last place, by channel
    assert patches[-1].tolist() == expected.reshape(-1).tolist()
