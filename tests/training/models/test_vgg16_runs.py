"""VGG16 through the whole of a run, on a few real digits and random weights."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("tensorflow")

from tests.training.recorded_progress import RecordedProgress
from training.cli import main
from training.data import load_dataset
from training.recipes import RECIPES
from training.run_folder import Run, load_run
from training.tf_keras_setup import keras
from training.train import Job, train


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("weights") / "vgg16.h5"
    keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3)).save_weights(
        path
    )
    return path


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
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
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYSIGHT_CACHE", str(tmp_path_factory.getbasetemp() / "vgg16-cache"))


def run(few: Path, weights: Path, out: Path, model: str, *more: str) -> Run:
    command = ["run", model, "--data", str(few), "--weights", str(weights), "--out", str(out)]
    assert main([*command, *more]) == 0
    return load_run(out)


def _kernel(weights: Path) -> NDArray[np.float32]:
    with h5py.File(weights) as file:
        return np.asarray(file["block3_conv2/block3_conv2/kernel:0"])


def test_frozen_computes_its_features_once(
    few: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("TINYSIGHT_CACHE", str(cache))
    first = run(few, weights, tmp_path / "a", "vgg16_frozen", "--epochs", "1")
    (entry,) = (cache / "features").glob("*/features.npy")
    written = entry.stat().st_mtime_ns
    run(few, weights, tmp_path / "b", "vgg16_frozen", "--epochs", "2", "--seed", "1")
    assert entry.stat().st_mtime_ns == written
    run(few, weights, tmp_path / "c", "vgg16_frozen", "--epochs", "1", "--preprocessing", "unit")
    assert len(list((cache / "features").glob("*/features.npy"))) == 2
    assert first.result.trainable_parameters == 512 * 100 + 100 + 100 * 3 + 3


def test_frozen_saves_the_whole_model(few: Path, weights: Path, tmp_path: Path) -> None:
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


def test_finetuned_starts_at_imagenet_and_resumes_without_its_weights(
    few: Path, weights: Path, tmp_path: Path
) -> None:
    out, recipe = (
        tmp_path / "a",
        replace(RECIPES["vgg16_finetuned"], epochs=2, batch_size=18, learning_rate=1e-4),
    )
    job = Job(recipe, load_dataset(few), out, weights=weights)
    with pytest.raises(KeyboardInterrupt):
        train(job, RecordedProgress(stop_after=1))
    progress = RecordedProgress()
    gone = replace(job, weights=tmp_path / "gone.h5", if_exists="resume")
    finished = train(gone, progress)
    assert finished is not None
    assert (progress.resumed_after, progress.epochs) == (1, [1])
    model = keras.models.load_model(finished.model_file)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert model.output_shape == (None, 3)
    kernel = model.get_layer("block3_conv2").get_weights()[0]
    assert np.corrcoef(kernel.ravel(), _kernel(weights).ravel())[0, 1] > 0.99


def test_upsampled_starts_at_imagenet_and_ends_in_one_model_file(
    few: Path, weights: Path, tmp_path: Path
) -> None:
    finished = run(few, weights, tmp_path / "a", "vgg16_upsampled", "--epochs", "1")
    model = keras.models.load_model(finished.model_file)
    assert model.input_shape == (None, 32, 32, 3)
    # A step or two at a small rate: still about VGG16's kernels, and its channels' strengths.
    kernel = model.get_layer("block3_conv2").get_weights()[0]
    assert np.corrcoef(kernel.ravel(), _kernel(weights).ravel())[0, 1] > 0.99
    assert model.get_layer("block3_conv2_bn").get_weights()[0].std() > 0.1


def test_bfloat16_training_saves_a_float32_model(tmp_path: Path) -> None:
    out = tmp_path / "a"
    command = ["run", "baseline", "--out", str(out), "--epochs", "3", "--precision", "bfloat16"]
    assert main(command) == 0
    finished = load_run(out)
    assert finished.result.device.precision == "mixed_bfloat16"
    assert finished.result.test is not None
    assert finished.result.test.value > 0.5
    model = keras.models.load_model(finished.model_file)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


def test_a_stopped_bfloat16_training_leaves_float32_to_the_next_one(tmp_path: Path) -> None:
    recipe = replace(RECIPES["baseline"], epochs=2, precision="bfloat16")
    with pytest.raises(KeyboardInterrupt):
        train(Job(recipe, load_dataset("digits"), tmp_path / "a"), RecordedProgress(stop_after=1))
    assert keras.mixed_precision.global_policy().name == "float32"


def test_without_weights_nothing_is_written(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a"
    missing = str(tmp_path / "none.h5")
    command = ["run", "vgg16_frozen", "--data", str(few), "--weights", missing, "--out", str(out)]
    assert main(command) == 1
    assert "no such file" in capsys.readouterr().err
    assert not out.exists()
