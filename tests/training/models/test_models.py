"""The models are those of the notebook and of the paper."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from training.models import vgg16
from training.models.baseline import baseline
from training.models.macs import multiply_accumulates
from training.models.vgg16 import WeightsError
from training.tf_keras_setup import keras, tf


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory):
    """A weights file in Keras' own layout, with random values."""
    keras.utils.set_random_seed(0)
    source = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    path = tmp_path_factory.mktemp("weights") / "vgg16.h5"
    source.save_weights(path)
    return path, source


def test_baseline_is_the_notebooks_network():
    model = baseline((32, 32, 3), 10)
    assert model.count_params() == 83_030
    assert [type(layer).__name__ for layer in model.layers] == [
        *["Conv2D", "MaxPooling2D", "Dropout"] * 3, "Flatten", "Dense", "Dense",
    ]  # fmt: skip
    assert multiply_accumulates(model) == 30 * 30 * 32 * 27 + 13 * 13 * 64 * 288 + (
        4 * 4 * 64 * 576 + 256 * 100 + 100 * 10
    )


def test_frozen_base_is_keras_vgg16_with_its_preprocessing(random_weights):
    path, source = random_weights
    base = vgg16.frozen_base((32, 32, 3), "imagenet")
    vgg16.read_weights(path).load_into(base)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
    wanted = source.predict(keras.applications.vgg16.preprocess_input(pixels.copy()), verbose=0)
    got = base.predict(pixels / 255, verbose=0)
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())
    assert not base.trainable_weights


def test_frozen_base_without_preprocessing_takes_the_notebooks_pixels(random_weights):
    path, source = random_weights
    base = vgg16.frozen_base((32, 32, 3), "unit")
    vgg16.read_weights(path).load_into(base)
    pixels = np.random.default_rng(0).random((4, 32, 32, 3), dtype=np.float32)
    np.testing.assert_allclose(
        base.predict(pixels, verbose=0), source.predict(pixels, verbose=0), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("enlarged", [False, True])
def test_finetuned_is_one_network_for_free_and_fixed_sizes(upsampled):
    free = vgg16.finetuned((None, None, 3), 10, upsampled=upsampled)
    fixed = vgg16.finetuned((32, 32, 3), 10, upsampled=upsampled)
    fixed.set_weights(free.get_weights())
    pixels = np.random.default_rng(0).random((4, 32, 32, 3), dtype=np.float32)
    np.testing.assert_allclose(
        fixed.predict(pixels, verbose=0), free.predict(pixels, verbose=0), rtol=1e-4, atol=1e-5
    )
    assert free.predict(pixels[:, :24, :24], verbose=0).shape == (4, 10)


def test_finetuned_turns_the_first_kernel_to_red_first(random_weights):
    path, source = random_weights
    model = vgg16.finetuned((32, 32, 3), 10)
    vgg16.read_weights(path).load_into(model, rgb=True)
    theirs = source.get_layer("block1_conv1").get_weights()[0]
    np.testing.assert_array_equal(
        model.get_layer("block1_conv1").get_weights()[0], theirs[:, :, ::-1]
    )
    theirs = source.get_layer("block5_conv3").get_weights()[0]
    np.testing.assert_array_equal(model.get_layer("block5_conv3").get_weights()[0], theirs)


def test_enlarged_begins_with_vgg16s_own_features(random_weights):
    """Up to one factor a layer, and to the margins, where VGG16 pads after its preprocessing."""
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
    seen = keras.Model(model.input, model.get_layer("shrink").output).predict(pixels, verbose=0)
    np.testing.assert_allclose(seen, tf.image.resize(pixels, (48, 48)), atol=1e-5)
    for layer in ("block1_conv2", "block2_conv2"):
        wanted = keras.Model(base.input, base.get_layer(layer).output).predict(seen, verbose=0)
        ours = model.get_layer(f"{layer}_relu").output
        got = keras.Model(model.input, ours).predict(pixels, verbose=0)
        wanted, got = (a[:, 6:-6, 6:-6] for a in (wanted, got))
        factor = (wanted * got).sum() / (got * got).sum()
        np.testing.assert_allclose(got * factor, wanted, atol=1e-3 * wanted.max())
        assert 0.1 < got.std() < 2


def test_the_fingerprint_follows_the_values(random_weights, tmp_path):
    path, source = random_weights
    assert vgg16.read_weights(path).fingerprint() == vgg16.read_weights(path).fingerprint()
    other = keras.models.clone_model(source)
    other.save_weights(tmp_path / "other.h5")
    assert vgg16.read_weights(tmp_path / "other.h5").fingerprint() != (
        vgg16.read_weights(path).fingerprint()
    )


@pytest.mark.parametrize("damage", ["missing", "truncated", "text", "other"])
def test_wrong_weights_are_one_clear_line(random_weights, tmp_path, damage):
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


def test_weights_are_found_by_the_environment(random_weights, monkeypatch):
    path, _ = random_weights
    monkeypatch.setenv(vgg16.WEIGHTS_VARIABLE, str(path))
    assert vgg16.read_weights(None).fingerprint() == vgg16.read_weights(path).fingerprint()


def test_no_network_is_one_clear_line(monkeypatch):
    monkeypatch.delenv(vgg16.WEIGHTS_VARIABLE, raising=False)

    def refused(*_, **__):
        raise OSError("URL fetch failure: Connection refused")

    # The one thing that is replaced: a test must not depend on whether there is a network.
    monkeypatch.setattr("tf_keras.src.applications.vgg16.data_utils.get_file", refused)
    with pytest.raises(WeightsError, match=r"--weights or \$TINYSIGHT_VGG16_WEIGHTS"):
        vgg16.read_weights(None)
