"""Pairs of products in 16 bits: the bound, the emulation, and the repair."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.passes import ExportError, reduce_range
from export.validation.int16_saturation import (
    emulate_int16_saturation,
    lost_to_saturation,
    report_int16_saturation,
)
from export.validation.pair_bounds import PairBound, pair_bounds, pair_sums
from tinysight.engines.ort import OnnxRuntimeEngine


def vpmaddubsw(bytes_in: NDArray[Any], weights: NDArray[Any]) -> int:
    """One output as the instruction computes it, by its definition in the manual."""
    total = 0
    for first in range(0, len(weights), 2):
        pair = zip(bytes_in[first : first + 2], weights[first : first + 2], strict=True)
        total += max(-32768, min(32767, sum(int(a) * int(w) for a, w in pair)))
    return total


Products = tuple[NDArray[np.uint8], NDArray[np.int8]]
"""Activations (n, k) and weights (outputs, k)."""


@st.composite
def products(draw: st.DrawFn) -> Products:
    n, k, outputs = draw(st.integers(1, 4)), draw(st.integers(1, 9)), draw(st.integers(1, 4))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    low = draw(st.sampled_from([0, 120, 200]))  # bright ones, where it happens
    given_ = random.integers(low, 256, (n, k), dtype=np.uint8)
    heavy = draw(st.sampled_from([1, 64, 127]))
    rows = random.integers(-heavy, heavy + 1, (outputs, k), dtype=np.int8)
    return given_, rows


@given(products())
def test_what_is_lost_is_what_the_instruction_loses(case: Products) -> None:
    given_, rows = case
    lost = lost_to_saturation(given_, rows)
    exact = given_.astype(int) @ rows.astype(int).T
    expected = [[vpmaddubsw(image, row) for row in rows] for image in given_]
    np.testing.assert_array_equal(exact + lost, expected)


@given(products())
def test_nothing_is_lost_where_the_bound_says_so(case: Products) -> None:
    given_, rows = case
    largest, smallest = pair_sums(rows, 0, 255)
    safe = (largest <= 32767) & (smallest >= -32768)
    assert (lost_to_saturation(given_, rows)[:, safe] == 0).all()


@given(st.integers(1, 9), st.integers(0, 2**32))
def test_the_bound_is_reached(k: int, seed: int) -> None:
    """By the bytes that suit each pair: no smaller bound would hold."""
    row = np.random.default_rng(seed).integers(-128, 128, (1, k), dtype=np.int8)
    largest, smallest = pair_sums(row, 0, 255)
    pairs = np.pad(row.astype(int), ((0, 0), (0, k % 2))).reshape(-1, 2)
    assert largest[0] == max(255 * pair[pair > 0].sum() for pair in pairs)
    assert smallest[0] == min(255 * pair[pair < 0].sum() for pair in pairs)


def conv(
    weights: NDArray[np.int8], *, side: int = 6, group: int = 1, **attributes: Any
) -> onnx.ModelProto:
    """A quantized convolution over pixels, and a mean over its map: uint8 to logits."""
    channels = weights.shape[1] * group
    constants = {
        "one": np.float32(1), "zero": np.uint8(0), "w": weights,
        "step": np.float32(1 / 64), "none": np.int8(0),
    }  # fmt: skip
    nodes = [
        helper.make_node("Transpose", ["image"], ["nchw"], perm=[0, 3, 1, 2], name="nchw"),
        helper.make_node("DequantizeLinear", ["nchw", "one", "zero"], ["x"], name="x"),
        helper.make_node("DequantizeLinear", ["w", "step", "none"], ["weight"], name="weight"),
        helper.make_node(
            "Conv", ["x", "weight"], ["y"], name="conv", group=group,
            kernel_shape=weights.shape[2:], **attributes,
        ),
        helper.make_node("GlobalAveragePool", ["y"], ["mean"], name="mean"),
        helper.make_node("Flatten", ["mean"], ["logits"], name="logits"),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "conv",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["b", side, side, channels])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", len(weights)])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def by_hand(images: NDArray[np.uint8], weights: NDArray[np.int8], **how: int) -> NDArray[Any]:
    """The convolution with saturating pairs, window by window: (n, outputs)."""
    pads, stride, step = how.get("pad", 0), how.get("stride", 1), how.get("step", 1)
    padded = np.pad(images, ((0, 0), (pads, pads), (pads, pads), (0, 0)))
    height, width = weights.shape[2:]
    results = []
    for image in padded:
        sums = []
        for y in range(0, image.shape[0] - (height - 1) * step, stride):
            for x in range(0, image.shape[1] - (width - 1) * step, stride):
                window = image[y : y + height * step : step, x : x + width * step : step]
                flat = window[:height, :width].reshape(-1)
                rows = np.moveaxis(weights, 1, -1).reshape(len(weights), -1)
                sums.append([vpmaddubsw(flat, row) for row in rows])
        results.append(np.mean(sums, axis=0) / 64)
    return np.array(results)


@pytest.mark.parametrize(
    ("attributes", "how"),
    [
        ({}, {}),
        ({"pads": [1, 1, 1, 1]}, {"pad": 1}),
        ({"strides": [2, 2]}, {"stride": 2}),
        ({"dilations": [2, 2]}, {"step": 2}),
    ],
)
def test_a_convolution_is_emulated_as_its_windows_are(
    attributes: dict[str, Any], how: dict[str, Any]
) -> None:
    draw = np.random.default_rng(3)
    weights = draw.integers(-127, 128, (4, 3, 3, 3), dtype=np.int8)
    images = draw.integers(128, 256, (3, 6, 6, 3), dtype=np.uint8)
    model = conv(weights, **attributes)
    emulated = emulate_int16_saturation(model, images)
    exact = OnnxRuntimeEngine(model.SerializeToString(), (6, 6), 4).run(images)
    assert emulated is not None
    expected = by_hand(images, weights, **how)
    assert emulated.changed["conv"] > 0.1
    assert emulated.max_relative == pytest.approx(
        np.abs(expected - exact).max() / np.ptp(exact), rel=1e-3
    )
    assert emulated.same_top1 == (expected.argmax(axis=1) == exact.argmax(axis=1)).sum()


def test_groups_are_summed_apart_and_depthwise_layers_are_exact() -> None:
    draw = np.random.default_rng(4)
    images = draw.integers(128, 256, (2, 6, 6, 3), dtype=np.uint8)
    depthwise = conv(draw.integers(-127, 128, (3, 1, 3, 3), dtype=np.int8), group=3)
    assert pair_bounds(depthwise) == []
    assert emulate_int16_saturation(depthwise, images) is None


def test_light_weights_are_safe() -> None:
    weights = np.full((2, 3, 3, 3), 64, np.int8)
    (found,) = pair_bounds(conv(weights))
    assert found == PairBound("conv", 2, 0, 2 * 64 * 255, (0.0, 255.0))
    assert found.safe
    heavier = weights.copy()
    heavier[1, :2, 1, 1] = 65  # two neighbours in memory
    (found,) = pair_bounds(conv(heavier))
    assert (found.unsafe_channels, found.worst_sum) == (1, 2 * 65 * 255)
    apart = weights.copy()
    apart[1, 0, 1, 1] = apart[1, 0, 0, 0] = 65
    assert pair_bounds(conv(apart))[0].worst_sum == (64 + 65) * 255


@pytest.mark.parametrize(("channels", "unsafe"), [(2, -1), (2, 3)])
def test_impossible_counts_are_refused(channels: int, unsafe: int) -> None:
    with pytest.raises(ValueError, match="channels"):
        PairBound("conv", channels, unsafe, 0, (0.0, 1.0))


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_seven_bits_are_always_safe_and_near(seed: int) -> None:
    weights = np.random.default_rng(seed).integers(-128, 128, (4, 3, 3, 3), dtype=np.int8)
    model = conv(weights)
    repaired = reduce_range(model, ["conv"])
    assert all(layer.safe for layer in pair_bounds(repaired))
    images = np.random.default_rng(seed).integers(0, 256, (2, 6, 6, 3), dtype=np.uint8)
    one, other = (
        OnnxRuntimeEngine(m.SerializeToString(), (6, 6), 4).run(images) for m in (model, repaired)
    )
    # Half a step for each of 27 weights, under bytes, in units of 1/32.
    assert np.abs(one - other).max() <= 27 * 255 * 0.5 / 32


def test_seven_bits_of_what_has_no_weights_are_refused() -> None:
    model = conv(np.ones((2, 3, 3, 3), np.int8))
    for layer in ("mean", "nobody"):
        with pytest.raises(ExportError, match=f"{layer} has no int8 weights"):
            reduce_range(model, [layer])


def test_the_baselines_first_layer_saturates(
    graph: onnx.ModelProto, images: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixels are large, activations are not: of the layers that could, only conv1 does."""
    from export.quantization import post_training

    repaired_graph = post_training.static_w8a8(graph, images)
    assert "conv1" not in report_int16_saturation(repaired_graph, images).saturating_layers
    monkeypatch.setattr(post_training, "fit_first_layer", lambda model, *_: model)
    model = post_training.static_w8a8(graph, images)
    bright = np.maximum(images, 160)
    found = report_int16_saturation(model, bright)
    layers = ["conv1", "conv2", "conv3", "dense1", "logits"]
    assert [bound.layer for bound in found.layers] == layers
    assert found.saturating_layers[0] == "conv1"
    assert found.repaired is not None
    assert found.emulated is not None
    assert found.repaired.max_relative < 0.1 * found.emulated.max_relative
    exact = OnnxRuntimeEngine(model.SerializeToString(), (32, 32), 10).run(bright)
    repaired = reduce_range(model, found.saturating_layers)
    near = OnnxRuntimeEngine(repaired.SerializeToString(), (32, 32), 10).run(bright)
    assert np.abs(exact - near).max() < 0.1 * np.ptp(exact)
