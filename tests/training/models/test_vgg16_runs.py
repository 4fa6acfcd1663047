"""VGG16 through the whole of a run, on a few real digits and random weights."""

import json

import h5py
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from training.cli import main
from training.data import load_dataset
from training.run_folder import load_run
from training.tf_keras_setup import keras


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("weights") / "vgg16.h5"
    keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3)).save_weights(
        path
    )
    return path


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Three digits as class folders: 60 pictures to train on, 15 to test."""
    from PIL import Image

    digits = load_dataset("digits")
    root = tmp_path_factory.mktemp("few")
    for label in range(3):
        chosen = np.flatnonzero(digits.targets == label)[:25]
        for number, index in enumerate(chosen):
            folder = root / ("train" if number < 20 else "test") / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(digits.images[index]).save(folder / f"{number}.png")
    return root


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TINYSIGHT_CACHE", str(tmp_path_factory.getbasetemp() / "vgg16-cache"))


def run(few, weights, out, model, *more):
    command = ["run", model, "--data", str(few), "--weights", str(weights), "--out", str(out)]
    assert main([*command, *more]) == 0
    return load_run(out)


def test_frozen_computes_its_features_once(few, weights, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("TINYSIGHT_CACHE", str(cache))
    first = run(few, weights, tmp_path / "a", "vgg16_frozen", "--epochs", "1")
    (entry,) = (cache / "features").glob("*/features.npy")
    written = entry.stat().st_mtime_ns
    run(few, weights, tmp_path / "b", "vgg16_frozen", "--epochs", "2", "--seed", "1")
    assert entry.stat().st_mtime_ns == written
    run(few, weights, tmp_path / "c", "vgg16_frozen", "--epochs", "1", "--preprocessing", "unit")
    assert len(list((cache / "features").glob("*/features.npy"))) == 2
    assert first.record["trainable_parameters"] == 512 * 100 + 100 + 100 * 3 + 3


def test_frozen_saves_the_whole_model(few, weights, tmp_path):
    """From pixels to logits, in float32; the features that were measured may be bfloat16's."""
    finished = run(few, weights, tmp_path / "a", "vgg16_frozen", "--epochs", "1")
    model = keras.models.load_model(finished.model_file)
    assert model.input_shape == (None, 32, 32, 3)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    dataset = load_dataset(few)
    pixels = dataset.images[dataset.parts["test"]].astype(np.float32) / 255
    whole = model.predict(pixels, verbose=0)
    measured = np.load(finished.folder / "test_logits.npy")
    assert np.abs(whole - measured).max() < 0.05 * np.ptp(whole)


def test_finetuned_trains_small_then_whole_images(few, weights, tmp_path):
    finished = run(
        few, weights, tmp_path / "a", "vgg16_finetuned",
        "--epochs", "2", "--small-epochs", "1", "--batch-size", "18", "--val-fraction", "0.2",
    )  # fmt: skip
    record = json.loads((finished.folder / "run.json").read_text())
    assert record["recipe"]["augment"]
    model = keras.models.load_model(finished.model_file)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert model.output_shape == (None, 3)


def test_enlarged_begins_at_imagenet_and_ends_in_one_model_file(few, weights, tmp_path):
    finished = run(few, weights, tmp_path / "a", "vgg16_enlarged", "--epochs", "1")
    model = keras.models.load_model(finished.model_file)
    assert model.input_shape == (None, 32, 32, 3)
    # A step or two at a small rate: still about VGG16's kernels, and its channels' strengths.
    kernel = model.get_layer("block3_conv2").get_weights()[0]
    with h5py.File(weights) as file:
        theirs = file["block3_conv2/block3_conv2/kernel:0"][:]
    assert np.corrcoef(kernel.ravel(), theirs.ravel())[0, 1] > 0.99
    assert model.get_layer("block3_conv2_bn").get_weights()[0].std() > 0.1


def test_bfloat16_training_saves_a_float32_model(tmp_path):
    out = tmp_path / "a"
    command = ["run", "baseline", "--out", str(out), "--epochs", "3", "--precision", "bfloat16"]
    assert main(command) == 0
    finished = load_run(out)
    assert finished.record["device"]["precision"] == "mixed_bfloat16"
    assert finished.record["test"]["value"] > 0.5
    model = keras.models.load_model(finished.model_file)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


def test_without_weights_nothing_is_written(few, tmp_path, capsys):
    out = tmp_path / "a"
    missing = str(tmp_path / "none.h5")
    command = ["run", "vgg16_frozen", "--data", str(few), "--weights", missing, "--out", str(out)]
    assert main(command) == 1
    assert "no such file" in capsys.readouterr().err
    assert not out.exists()
