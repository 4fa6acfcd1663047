"""Fine-tuning on real digits: what it starts from, what it keeps to, what it leaves on the way."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")
pytest.importorskip("tensorflow_model_optimization")

from export.converter import Converter
from export.formats.fusion_check import optimized_operators
from export.formats.onnx import qat_to_onnx
from export.passes import ExportError
from export.quantization import finetune as module
from export.quantization import pruning_clustering, qat
from export.quantization.finetune import Finetuned, finetune
from export.recipes import RECIPES, Finetuning
from export.source import ExportSource, open_source
from tinysight.engines.litert import LiteRTEngine
from tinysight.engines.ort import OnnxRuntimeEngine
from training.data import Dataset
from training.data.pipeline import batches
from training.run_folder import Run
from training.tf_keras_setup import keras

QUICK = 0.2
"""Epochs."""


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One for all tests here, so that each fine-tuning is done once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYSIGHT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def source(run: Run, dataset: Dataset) -> ExportSource:
    return open_source(run, dataset)


def tuned(settings: Finetuning, source: ExportSource) -> Finetuned:
    return finetune(settings, source, lambda what, done, total: None)


Floats = tuple[Any, NDArray[np.uint8], NDArray[np.float32]]


@pytest.fixture(scope="module")
def floats(source: ExportSource) -> Floats:
    """The trained model, the validation images, and its logits on them."""
    model = keras.models.load_model(source.run.model_file)
    images = source.images(source.splits.val)
    return model, images, model.predict(images.astype(np.float32) / 255, verbose=0)


def test_quantization_starts_from_the_ranges_that_calibration_saw(
    floats: Floats, source: ExportSource
) -> None:
    """And so answers at once nearly as the trained model does."""
    model, images, logits = floats
    quantized = qat.quantization_aware(model)
    raw = quantized.predict(images.astype(np.float32) / 255, verbose=0)
    qat.seed_ranges(quantized, model, source.images(source.calibration))
    qat.sync_weight_ranges(quantized)
    seeded = quantized.predict(images.astype(np.float32) / 255, verbose=0)
    spread = np.ptp(logits)
    assert np.abs(seeded - logits).mean() < 0.02 * spread
    assert np.abs(seeded - logits).mean() < np.abs(raw - logits).mean()
    assert (seeded.argmax(1) == logits.argmax(1)).mean() > 0.97


def test_pixels_are_their_own_quantized_form(floats: Floats, source: ExportSource) -> None:
    model, images, _ = floats
    quantized = qat.quantization_aware(model)
    qat.seed_ranges(quantized, model, source.images(source.calibration))
    qat.sync_weight_ranges(quantized)
    unit = quantized.predict(images.astype(np.float32) / 255, verbose=0)
    pixels = qat.finished(quantized).predict(images.astype(np.float32), verbose=0)
    assert np.abs(pixels - unit).max() <= 0.02 * np.ptp(unit)
    assert np.abs(pixels - unit).mean() <= 0.001 * np.ptp(unit)


def test_qat_artifacts_are_integer_throughout_and_answer_as_keras(
    source: ExportSource, floats: Floats
) -> None:
    settings = Finetuning("quantization_aware", epochs=QUICK)
    result = tuned(settings, source)
    _, images, _ = floats
    expected = result.model.predict(images.astype(np.float32), verbose=0)
    converter = Converter(source, finetune_epochs=QUICK)
    onnx = converter.convert(RECIPES["qat_w8a8"], "onnx")
    found = optimized_operators(onnx.content)
    assert found["QLinearConv"] == 3
    assert found["QGemm"] == 2
    assert not {"Conv", "FusedConv", "Gemm", "QuantizeLinear", "DequantizeLinear"} & set(found)
    tflite = converter.convert(RECIPES["qat_w8a8"], "tflite")
    engines: tuple[OnnxRuntimeEngine, LiteRTEngine] = (
        OnnxRuntimeEngine(onnx.content, (32, 32), 10),
        LiteRTEngine(tflite.content, (32, 32), 10),
    )
    for engine in engines:
        actual = engine.run(images)
        assert (actual.argmax(1) == expected.argmax(1)).mean() > 0.98
        assert np.abs(actual - expected).mean() < 0.01 * np.ptp(expected)
    assert onnx.settings.finetuning is not None
    assert onnx.settings.finetuning.settings.epochs == QUICK
    assert onnx.settings.calibration is not None
    assert onnx.settings.calibration.n == len(source.calibration)


def test_the_best_state_on_validation_images_is_taken(source: ExportSource) -> None:
    """With a rate that ruins the model, that is the one before the first step."""
    ruin = Finetuning("quantization_aware", epochs=QUICK, learning_rate=50.0)
    record = tuned(ruin, source).record
    assert record.chosen == 0
    correct = [accuracy.correct for accuracy in record.validation]
    assert correct[0] == max(correct)
    assert {accuracy.n for accuracy in record.validation} == {len(source.splits.val)}


def test_only_training_images_are_learned_from(
    source: ExportSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[NDArray[np.int64]] = []

    def remember(
        images: Any, targets: Any, order: NDArray[np.int64], *rest: Any, **named: Any
    ) -> Any:
        seen.append(order)
        return batches(images, targets, order, *rest, **named)

    monkeypatch.setattr(module, "batches", remember)
    tuned(Finetuning("pruning", epochs=1.25, sparsity=0.5), source)
    train = source.splits.train
    assert [len(order) for order in seen] == [len(train), round(len(train) / 4)]
    assert np.isin(np.concatenate(seen), train).all()
    assert sorted(seen[0]) == sorted(train)


def test_a_finished_fine_tuning_is_not_done_again(
    source: ExportSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Finetuning("quantization_aware", epochs=QUICK)
    first = tuned(settings, source)
    monkeypatch.setattr(module, "batches", lambda *_, **__: pytest.fail("trained again"))
    again = tuned(settings, source)
    assert again.record == first.record
    for one, other in zip(first.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        tuned(dataclasses.replace(settings, learning_rate=0.002), source)


def test_a_damaged_record_in_the_cache_is_made_again(
    source: ExportSource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TINYSIGHT_CACHE", str(tmp_path))
    settings = Finetuning("clustering", epochs=QUICK, clusters=8)
    first = tuned(settings, source)
    (record,) = tmp_path.rglob("record.json")
    record.write_text("{}")
    again = tuned(settings, source)
    assert again.record.validation == first.record.validation
    assert record.read_text() != "{}"


def test_the_seed_decides_the_result(
    source: ExportSource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Finetuning("clustering", epochs=QUICK, clusters=8)
    first = tuned(settings, source)
    monkeypatch.setenv("TINYSIGHT_CACHE", str(tmp_path / "another"))
    again = tuned(settings, source)
    for one, other in zip(first.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def kernels(model: Any) -> dict[str, NDArray[np.float32]]:
    return {layer.name: layer.get_weights()[0] for layer in model.layers if layer.weights}


def test_pruned_weights_are_zero_and_stay_so_in_int8(source: ExportSource) -> None:
    result = tuned(Finetuning("pruning", epochs=QUICK, sparsity=0.75), source)
    for name, kernel in kernels(result.model).items():
        assert (kernel == 0).mean() == pytest.approx(0.75, abs=0.01), name
    converter = Converter(source, finetune_epochs=QUICK)
    pruned = converter.convert(RECIPES["pruned_static_w8a8"], "onnx")
    plain = converter.convert(RECIPES["static_w8a8"], "onnx")
    assert pruned.compressed_bytes < 0.9 * plain.compressed_bytes
    assert len(pruned.content) == pytest.approx(len(plain.content), rel=0.01)


def test_clustered_weights_share_their_values(source: ExportSource) -> None:
    result = tuned(Finetuning("clustering", epochs=QUICK, clusters=8), source)
    for name, kernel in kernels(result.model).items():
        assert len(np.unique(kernel)) <= 8, name


def test_the_trained_model_is_left_as_it_was(floats: Floats) -> None:
    model = floats[0]
    before = model.get_weights()
    pruning_clustering.pruned(model, Finetuning("pruning", sparsity=0.5))
    pruning_clustering.clustered(model, Finetuning("clustering", clusters=4))
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.layers[0].name == "conv1"


def test_a_normalization_becomes_part_of_its_quantized_convolution() -> None:
    layers = keras.layers
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, use_bias=False, name="conv1")(image)
    x = layers.BatchNormalization(name="bn1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = layers.Flatten(name="flatten")(x)
    model = keras.Model(image, layers.Dense(3, name="logits")(x))
    draw = np.random.default_rng(0)
    for weight in model.weights:
        if "moving" in weight.name or "gamma" in weight.name or "beta" in weight.name:
            weight.assign(draw.uniform(0.5, 1.5, weight.shape))
    pixels = draw.integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    quantized = qat.quantization_aware(model)
    qat.seed_ranges(quantized, model, pixels)
    content = qat_to_onnx(qat.finished(quantized)).SerializeToString()
    found = optimized_operators(content)
    assert (found["QLinearConv"], found["QGemm"]) == (1, 1)
    expected = model.predict(pixels.astype(np.float32) / 255, verbose=0)
    actual = OnnxRuntimeEngine(content, (8, 8), 3).run(pixels)
    assert np.abs(actual - expected).max() < 0.05 * np.ptp(expected)


def test_a_model_that_cannot_be_quantized_is_one_line() -> None:
    inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])
    nested = keras.Sequential([keras.Input((8, 8, 3)), inner, keras.layers.Flatten()])
    with pytest.raises(ExportError, match="cannot take this model") as caught:
        qat.quantization_aware(nested)
    assert "\n" not in str(caught.value)
