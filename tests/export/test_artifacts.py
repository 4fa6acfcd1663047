"""The four artifacts of the real baseline: what they answer, and what they consist of."""

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnxruntime")
pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from export.formats import tflite
from export.formats.fusion_check import optimized_operators
from export.formats.onnx import keras_to_onnx
from export.passes import ExportError, elide_input_quantize, float_output, uint8_input
from export.quantization import post_training
from export.quantization.post_training import find_ranges, static_w8a8
from tinysight.engines.litert import LiteRTEngine
from tinysight.engines.ort import OnnxRuntimeEngine, make_session
from tinysight.errors import BundleError
from training.tf_keras_setup import keras, tf


@pytest.fixture(scope="module")
def trained(baseline: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(baseline.predict(images.astype(np.float32) / 255, verbose=0))


def near(logits: NDArray[np.float32], trained: NDArray[np.float32], relative: float) -> bool:
    return bool(np.abs(logits - trained).max() <= relative * np.ptp(trained))


def int8_engine(graph: onnx.ModelProto, images: NDArray[np.uint8]) -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine(static_w8a8(graph, images).SerializeToString(), (32, 32), 10)


def test_float32_onnx_answers_as_keras(
    graph: onnx.ModelProto, images: NDArray[np.uint8], trained: NDArray[np.float32]
) -> None:
    session = OnnxRuntimeEngine(uint8_input(graph).SerializeToString(), (32, 32), 10)
    assert near(session.run(images), trained, 1e-5)


def test_float32_onnx_answers_noise_as_keras(baseline: Any, graph: onnx.ModelProto) -> None:
    """Every value of a byte, on every channel; digits are grey and mostly black."""
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 32, 3), dtype=np.uint8)
    expected = baseline.predict(noise.astype(np.float32) / 255, verbose=0)
    session = OnnxRuntimeEngine(uint8_input(graph).SerializeToString(), (32, 32), 10)
    assert near(session.run(noise), expected, 1e-4)


def test_float32_onnx_is_clean_and_reads_well(graph: onnx.ModelProto) -> None:
    model = uint8_input(graph)
    assert sorted(node.op_type for node in model.graph.node) == sorted(
        ["Transpose", "Cast", *["Conv", "Relu", "MaxPool"] * 3, "Flatten", "Gemm", "Relu", "Gemm"]
    )
    (image,), (logits,) = model.graph.input, model.graph.output
    assert (image.name, logits.name) == ("image", "logits")
    types = (image.type.tensor_type.elem_type, logits.type.tensor_type.elem_type)
    assert types == (onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT)
    dims = image.type.tensor_type.shape.dim
    assert (dims[0].dim_param, *(dim.dim_value for dim in dims[1:])) == ("batch", 32, 32, 3)
    names = {tensor.name for tensor in model.graph.initializer}
    assert {"conv1.weight", "conv3.bias", "dense1.weight", "logits.bias"} <= names
    assert "unk__" not in str(model)


def test_int8_onnx_is_all_integer_after_optimization(
    graph: onnx.ModelProto, images: NDArray[np.uint8]
) -> None:
    found = optimized_operators(static_w8a8(graph, images).SerializeToString())
    assert found["QLinearConv"] == 3
    assert found["QGemm"] == 2
    assert found["DequantizeLinear"] <= 1
    assert set(found) <= {
        "QLinearConv", "NhwcMaxPool", "MaxPool", "QGemm", "Flatten", "Transpose",
        "DequantizeLinear",
    }  # fmt: skip


def test_int8_onnx_is_near_and_the_same_twice(
    graph: onnx.ModelProto, images: NDArray[np.uint8], trained: NDArray[np.float32]
) -> None:
    content = static_w8a8(graph, images).SerializeToString(deterministic=True)
    assert near(OnnxRuntimeEngine(content, (32, 32), 10).run(images), trained, 0.05)
    assert static_w8a8(graph, images).SerializeToString(deterministic=True) == content


@pytest.mark.parametrize(("count", "used"), [(1, 1), (63, 63), (100, 64)])
def test_few_calibration_images_and_whole_batches_alone_make_the_ranges(
    graph: onnx.ModelProto,
    images: NDArray[np.uint8],
    trained: NDArray[np.float32],
    count: int,
    used: int,
) -> None:
    """A batch is 64: fewer images are one, and what does not fill the last one is left out."""
    some = np.concatenate([images, 255 - images])[:count]
    low, high = find_ranges(graph, some).data["logits"].range_value
    # onnxruntime's ranges hold zero.
    assert low == pytest.approx(min(trained[:used].min(), 0), rel=1e-3)
    assert high == pytest.approx(max(trained[:used].max(), 0), rel=1e-3)
    logits = int8_engine(graph, some).run(some[:used])
    assert near(logits, trained[:used], 0.05)


def test_uint8_input_changes_no_bit_of_the_int8_answers(
    graph: onnx.ModelProto, images: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the quantizer's own graph, which takes floats and quantizes them itself."""
    seen = []

    def remember(model: onnx.ModelProto) -> onnx.ModelProto:
        seen.append(model)
        return elide_input_quantize(model)

    monkeypatch.setattr(post_training, "elide_input_quantize", remember)
    # It does change bits.
    monkeypatch.setattr(post_training, "fit_first_layer", lambda model, *_: model)
    ours = int8_engine(graph, images).run(images)
    floats_in = make_session(float_output(seen[0]).SerializeToString())
    assert floats_in.get_inputs()[0].type == "tensor(float)"
    (theirs,) = floats_in.run(None, {"image": images.astype(np.float32)})
    np.testing.assert_array_equal(ours, theirs)


def test_float32_tflite_answers_as_keras_in_any_batch(
    baseline: Any, images: NDArray[np.uint8], trained: NDArray[np.float32]
) -> None:
    engine = LiteRTEngine(tflite.float32(baseline), (32, 32), 10)
    for part in (slice(0, 1), slice(0, 64), slice(5, 9), slice(9, 12)):
        assert near(engine.run(images[part]), trained[part], 1e-5)


def test_int8_tflite_is_near_and_takes_any_batch(
    baseline: Any, images: NDArray[np.uint8], trained: NDArray[np.float32]
) -> None:
    engine = LiteRTEngine(tflite.static_w8a8(baseline, images), (32, 32), 10)
    whole = engine.run(images)
    assert near(whole, trained, 0.05)
    np.testing.assert_array_equal(engine.run(images[:1]), whole[:1])
    np.testing.assert_array_equal(engine.run(images[5:9]), whole[5:9])


def test_int8_tflite_takes_plain_bytes_whatever_it_was_calibrated_on(
    baseline: Any, images: NDArray[np.uint8]
) -> None:
    dull = images // 4 + 60
    before = dull.copy()
    assert LiteRTEngine(tflite.static_w8a8(baseline, dull), (32, 32), 10).run(images).shape == (
        64,
        10,
    )
    np.testing.assert_array_equal(dull, before)


def test_float_input_tflite_is_refused(baseline: Any) -> None:
    content = tf.lite.TFLiteConverter.from_keras_model(baseline).convert()
    with pytest.raises(BundleError, match="it takes and gives"):
        LiteRTEngine(content, (32, 32), 10)


def test_a_model_that_begins_otherwise_is_refused() -> None:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Flatten(name="f"), layers.Dense(2, name="logits")]
    )
    with pytest.raises(ExportError, match="convolution"):
        keras_to_onnx(model)
    with pytest.raises(ExportError, match="convolution"):
        tflite.float32(model)


def test_vgg16s_normalizations_fold_away() -> None:
    from training.models.vgg16 import finetuned

    keras.utils.set_random_seed(0)
    model = finetuned((32, 32, 3), 4)
    draw = np.random.default_rng(0)
    for weight in model.weights:  # statistics that a training would have left
        if "moving" in weight.name or "gamma" in weight.name or "beta" in weight.name:
            weight.assign(draw.uniform(0.5, 1.5, weight.shape))
    graph = keras_to_onnx(model)
    assert {node.op_type for node in graph.graph.node} == {
        "Transpose", "Conv", "Relu", "MaxPool", "Flatten", "Gemm",
    }  # fmt: skip
    pixels = draw.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    expected = model.predict(pixels.astype(np.float32) / 255, verbose=0)
    actual = OnnxRuntimeEngine(uint8_input(graph).SerializeToString(), (32, 32), 4).run(pixels)
    assert near(actual, expected, 1e-4)


def test_frozen_vgg16_keeps_its_preprocessing() -> None:
    from training.models import vgg16

    keras.utils.set_random_seed(0)
    base = vgg16.frozen_base((32, 32, 3), "imagenet")
    model = vgg16.join(base, vgg16.head(base.output_shape[1:], 4))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    expected = model.predict(pixels.astype(np.float32) / 255, verbose=0)
    actual = OnnxRuntimeEngine(
        uint8_input(keras_to_onnx(model)).SerializeToString(), (32, 32), 4
    ).run(pixels)
    assert near(actual, expected, 1e-4)
