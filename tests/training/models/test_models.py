"""The models are those of the notebook and of the paper."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from training.models import vgg16
from training.models.baseline import baseline
from training.models.macs import multiply_accumulates
from training.models.registry import MODELS, build, spec_of
from training.models.vgg16 import WeightsError
from training.recipes import RECIPES, recipe_of
from training.tf_keras_setup import keras, tf


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A weights file in Keras' own layout, with random values."""
    keras.utils.set_random_seed(0)
    source = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    path = tmp_path_factory.mktemp("weights") / "vgg16.h5"
    source.save_weights(path)
    return path, source


def test_baseline_is_the_notebooks_network() -> None:
    model = baseline((32, 32, 3), 10)
    assert model.count_params() == 83_030
    assert [type(layer).__name__ for layer in model.layers] == [
        *["Conv2D", "MaxPooling2D", "Dropout"] * 3, "Flatten", "Dense", "Dense",
    ]  # fmt: skip
    assert multiply_accumulates(model) == 30 * 30 * 32 * 27 + 13 * 13 * 64 * 288 + (
        4 * 4 * 64 * 576 + 256 * 100 + 100 * 10
    )


def test_frozen_base_is_keras_vgg16_with_its_preprocessing(
    random_weights: tuple[Path, Any],
) -> None:
    path, source = random_weights
    base = vgg16.frozen_base((32, 32, 3), "imagenet")
    vgg16.read_weights(path).load_into(base)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
    expected = source.predict(keras.applications.vgg16.preprocess_input(pixels.copy()), verbose=0)
    actual = base.predict(pixels / 255, verbose=0)
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert not base.trainable_weights


def test_frozen_base_without_preprocessing_takes_the_notebooks_pixels(
    random_weights: tuple[Path, Any],
) -> None:
    path, source = random_weights
    base = vgg16.frozen_base((32, 32, 3), "unit")
    vgg16.read_weights(path).load_into(base)
    pixels = np.random.default_rng(0).random((4, 32, 32, 3), dtype=np.float32)
    np.testing.assert_allclose(
        base.predict(pixels, verbose=0), source.predict(pixels, verbose=0), rtol=1e-4, atol=1e-6
    )


def test_finetuned_turns_the_first_kernel_to_red_first(random_weights: tuple[Path, Any]) -> None:
    path, source = random_weights
    model = vgg16.finetuned((32, 32, 3), 10)
    vgg16.read_weights(path).load_into(model, rgb=True)
    theirs = source.get_layer("block1_conv1").get_weights()[0]
    np.testing.assert_array_equal(
        model.get_layer("block1_conv1").get_weights()[0], theirs[:, :, ::-1]
    )
    theirs = source.get_layer("block5_conv3").get_weights()[0]
    np.testing.assert_array_equal(model.get_layer("block5_conv3").get_weights()[0], theirs)


def test_upsampled_starts_with_vgg16s_own_features(random_weights: tuple[Path, Any]) -> None:
    """Up to one factor per layer, and not at the borders, where VGG16 pads after preprocessing."""
    path, _ = random_weights
    random = np.random.default_rng(0)
    kernels = vgg16.read_weights(path).layers
    weights = vgg16.ImagenetWeights(
        {name: (kernel, random.normal(0, 5, bias.shape).astype(np.float32))
         for name, (kernel, bias) in kernels.items()}
    )  # fmt: skip
    images = random.integers(0, 256, (8, 32, 32, 3), np.uint8)
    model = vgg16.finetuned((32, 32, 3), 10, upsampled=True)
    vgg16.init_from_imagenet(model, weights, images)
    base = vgg16.frozen_base((48, 48, 3), "imagenet")
    weights.load_into(base)
    pixels = images.astype(np.float32) / 255
    seen = keras.Model(model.input, model.get_layer("downsample").output).predict(pixels, verbose=0)
    np.testing.assert_allclose(seen, tf.image.resize(pixels, (48, 48)), atol=1e-5)
    for layer in ("block1_conv2", "block2_conv2"):
        expected = keras.Model(base.input, base.get_layer(layer).output).predict(seen, verbose=0)
        ours = model.get_layer(f"{layer}_relu").output
        actual = keras.Model(model.input, ours).predict(pixels, verbose=0)
        expected, actual = (a[:, 6:-6, 6:-6] for a in (expected, actual))
        factor = (expected * actual).sum() / (actual * actual).sum()
        np.testing.assert_allclose(actual * factor, expected, atol=1e-3 * expected.max())
        assert 0.1 < actual.std() < 2


def test_the_fingerprint_follows_the_values(
    random_weights: tuple[Path, Any], tmp_path: Path
) -> None:
    path, source = random_weights
    assert vgg16.read_weights(path).fingerprint() == vgg16.read_weights(path).fingerprint()
    other = keras.models.clone_model(source)
    other.save_weights(tmp_path / "other.h5")
    assert vgg16.read_weights(tmp_path / "other.h5").fingerprint() != (
        vgg16.read_weights(path).fingerprint()
    )


@pytest.mark.parametrize("damage", ["missing", "truncated", "text", "other"])
def test_wrong_weights_are_one_clear_line(
    random_weights: tuple[Path, Any], tmp_path: Path, damage: str
) -> None:
    path, _ = random_weights
    wrong = tmp_path / "weights.h5"
    if damage == "truncated":
        wrong.write_bytes(path.read_bytes()[:1_000_000])
    elif damage == "text":
        wrong.write_text("404: not found")
    elif damage == "other":
        baseline((32, 32, 3), 10).save_weights(wrong)
    with pytest.raises(WeightsError, match=r"weights\.h5") as caught:
        vgg16.read_weights(wrong)
    assert "\n" not in str(caught.value)


def test_weights_are_found_by_the_environment(
    random_weights: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = random_weights
    monkeypatch.setenv(vgg16.WEIGHTS_VARIABLE, str(path))
    assert vgg16.read_weights(None).fingerprint() == vgg16.read_weights(path).fingerprint()


def test_no_network_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(vgg16.WEIGHTS_VARIABLE, raising=False)

    def refused(*_: object, **__: object) -> None:
        raise OSError("URL fetch failure: Connection refused")

    # The one thing that is replaced: a test must not depend on whether there is a network.
    monkeypatch.setattr("tf_keras.src.applications.vgg16.data_utils.get_file", refused)
    with pytest.raises(WeightsError, match=r"--weights or \$TINYSIGHT_VGG16_WEIGHTS"):
        vgg16.read_weights(None)


def test_the_registry_has_a_model_for_each_recipe() -> None:
    assert MODELS.keys() == RECIPES.keys()
    for name, spec in MODELS.items():
        assert spec.recipe is RECIPES[name]
        assert (spec.frozen_base is not None) == (name == "vgg16_frozen")
        assert spec.needs_imagenet_weights == name.startswith("vgg16")


@pytest.mark.parametrize("name", [*RECIPES, "4s2-8"])
def test_every_model_is_built_by_its_name(name: str) -> None:
    """From pixels to logits; of a frozen base, from features to logits."""
    spec = spec_of(name)
    shape = (32, 32, 3) if spec.frozen_base is None else (1, 1, 512)
    model = build(recipe_of(name), shape, 7)
    assert model.input_shape == (None, *shape)
    assert model.output_shape == (None, 7)
    assert model.name == ("head" if spec.frozen_base else name.removesuffix("_distilled"))


def test_a_name_of_no_model_is_refused() -> None:
    with pytest.raises(ValueError, match="baselin"):
        spec_of("baselin")
