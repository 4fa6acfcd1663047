"""Fine-tuning on real digits: what it starts from, what it keeps to, what it leaves on the way."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")
pytest.importorskip("tensorflow_model_optimization")

from export.converter import Converter
from export.formats.fusion_check import optimized_operators
from export.formats.onnx import qat_to_onnx
from export.passes import ExportError
from export.quantization import finetune as module
from export.quantization import pruning_clustering, qat
from export.quantization.finetune import finetune
from export.recipes import RECIPES, Finetuning
from export.source import calibration_indices
from tinysight.engines.litert import LiteRTEngine
from tinysight.engines.ort import OnnxRuntimeEngine
from training.data import split
from training.tf_keras_setup import keras

QUICK = 0.2
"""Epochs."""


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory):
    """One for all tests here, so that each fine-tuning is done once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYSIGHT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def parts(dataset: Dataset):
    splits = split(dataset, 0)
    return splits, calibration_indices(splits, 0)


def tuned(settings, run: Run, dataset: Dataset, parts):
    return finetune(settings, run, dataset, *parts, lambda what, done, total: None)


@pytest.fixture(scope="module")
def floats(run: Run, dataset: Dataset, parts):
    """The trained model, and its logits on the validation images."""
    model = keras.models.load_model(run.model_file)
    images = np.array(dataset.images[parts[0].val])
    return model, images, model.predict(images.astype(np.float32) / 255, verbose=0)


def test_quantization_starts_from_the_ranges_that_calibration_saw(
    floats, dataset: Dataset, parts
) -> None:
    """And so answers at once nearly as the trained model does."""
    model, images, logits = floats
    quantized = qat.quantization_aware(model)
    raw = quantized.predict(images.astype(np.float32) / 255, verbose=0)
    qat.seed_ranges(quantized, model, np.array(dataset.images[parts[1]]))
    qat.sync_weight_ranges(quantized)
    seeded = quantized.predict(images.astype(np.float32) / 255, verbose=0)
    spread = np.ptp(logits)
    assert np.abs(seeded - logits).mean() < 0.02 * spread
    assert np.abs(seeded - logits).mean() < np.abs(raw - logits).mean()
    assert (seeded.argmax(1) == logits.argmax(1)).mean() > 0.97


def test_pixels_are_their_own_quantized_form(floats, dataset: Dataset, parts) -> None:
    model, images, _ = floats
    quantized = qat.quantization_aware(model)
    qat.seed_ranges(quantized, model, np.array(dataset.images[parts[1]]))
    qat.sync_weight_ranges(quantized)
    unit = quantized.predict(images.astype(np.float32) / 255, verbose=0)
    pixels = qat.finished(quantized).predict(images.astype(np.float32), verbose=0)
    assert np.abs(pixels - unit).max() <= 0.02 * np.ptp(unit)
    assert np.abs(pixels - unit).mean() <= 0.001 * np.ptp(unit)


def test_qat_artifacts_are_integer_throughout_and_answer_as_keras(
    run: Run, dataset: Dataset, parts, floats
) -> None:
    settings = Finetuning("quantization_aware", epochs=QUICK)
    result = tuned(settings, run, dataset, parts)
    _, images, _ = floats
    wanted = result.model.predict(images.astype(np.float32), verbose=0)
    converter = Converter(run, dataset, *parts, finetune_epochs=QUICK)
    onnx = converter.convert(RECIPES["qat_w8a8"], "onnx")
    found = optimized_operators(onnx.content)
    assert found["QLinearConv"] == 3
    assert found["QGemm"] == 2
    assert not {"Conv", "FusedConv", "Gemm", "QuantizeLinear", "DequantizeLinear"} & set(found)
    tflite = converter.convert(RECIPES["qat_w8a8"], "tflite")
    for engine in (
        OnnxRuntimeEngine(onnx.content, (32, 32), 10),
        LiteRTEngine(tflite.content, (32, 32), 10),
    ):
        got = engine.run(images)
        assert (got.argmax(1) == wanted.argmax(1)).mean() > 0.98
        assert np.abs(got - wanted).mean() < 0.01 * np.ptp(wanted)
    assert onnx.settings["finetuning"]["epochs"] == QUICK
    assert onnx.settings["calibration"]["n"] == len(parts[1])


def test_the_best_state_on_validation_images_is_taken(run: Run, dataset: Dataset, parts) -> None:
    """With a rate that ruins the model, that is the one before the first step."""
    ruin = Finetuning("quantization_aware", epochs=QUICK, learning_rate=50.0)
    record = tuned(ruin, run, dataset, parts).record
    assert record["chosen"] == 0
    right = [entry["correct"] for entry in record["validation"]]
    assert right[0] == max(right)
    assert {entry["n"] for entry in record["validation"]} == {len(parts[0].val)}


def test_only_training_images_are_learned_from(
    run: Run, dataset: Dataset, parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def remember(images: NDArray[np.uint8], targets, order, *rest, **named):
        seen.append(order)
        return module_batches(images, targets, order, *rest, **named)

    module_batches = module.batches
    monkeypatch.setattr(module, "batches", remember)
    tuned(Finetuning("pruning", epochs=1.25, sparsity=0.5), run, dataset, parts)
    train = parts[0].train
    assert [len(order) for order in seen] == [len(train), round(len(train) / 4)]
    assert np.isin(np.concatenate(seen), train).all()
    assert sorted(seen[0]) == sorted(train)


def test_a_finished_fine_tuning_is_not_done_again(
    run: Run, dataset: Dataset, parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Finetuning("quantization_aware", epochs=QUICK)
    first = tuned(settings, run, dataset, parts)
    monkeypatch.setattr(module, "_train", lambda *_: pytest.fail("trained again"))
    again = tuned(settings, run, dataset, parts)
    assert again.record == first.record
    for one, other in zip(first.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        tuned(dataclasses.replace(settings, learning_rate=0.002), run, dataset, parts)


def test_the_seed_decides_the_result(
    run: Run, dataset: Dataset, parts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Finetuning("clustering", epochs=QUICK, clusters=8)
    first = tuned(settings, run, dataset, parts)
    monkeypatch.setenv("TINYSIGHT_CACHE", str(tmp_path / "another"))
    again = tuned(settings, run, dataset, parts)
    for one, other in zip(first.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def kernels(model: onnx.ModelProto):
    return {layer.name: layer.get_weights()[0] for layer in model.layers if layer.weights}


def test_pruned_weights_are_zero_and_stay_so_in_int8(run: Run, dataset: Dataset, parts) -> None:
    result = tuned(Finetuning("pruning", epochs=QUICK, sparsity=0.75), run, dataset, parts)
    for name, kernel in kernels(result.model).items():
        assert (kernel == 0).mean() == pytest.approx(0.75, abs=0.01), name
    converter = Converter(run, dataset, *parts, finetune_epochs=QUICK)
    pruned = converter.convert(RECIPES["pruned_static_w8a8"], "onnx")
    plain = converter.convert(RECIPES["static_w8a8"], "onnx")
    assert pruned.compressed < 0.9 * plain.compressed
    assert len(pruned.content) == pytest.approx(len(plain.content), rel=0.01)


def test_clustered_weights_share_their_values(run: Run, dataset: Dataset, parts) -> None:
    result = tuned(Finetuning("clustering", epochs=QUICK, clusters=8), run, dataset, parts)
    for name, kernel in kernels(result.model).items():
        assert len(np.unique(kernel)) <= 8, name


def test_the_trained_model_is_left_as_it_was(floats) -> None:
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
    wanted = model.predict(pixels.astype(np.float32) / 255, verbose=0)
    got = OnnxRuntimeEngine(content, (8, 8), 3).run(pixels)
    assert np.abs(got - wanted).max() < 0.05 * np.ptp(wanted)


def test_a_model_that_cannot_be_quantized_is_one_line() -> None:
    inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])
    nested = keras.Sequential([keras.Input((8, 8, 3)), inner, keras.layers.Flatten()])
    with pytest.raises(ExportError, match="cannot take this model") as caught:
        qat.quantization_aware(nested)
    assert "\n" not in str(caught.value)
