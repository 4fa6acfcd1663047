"""Weights to start from: shipped ones, those of a run, and none."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tensorflow")

from tinysight import Classifier
from tinysight.bundle import load_bundle
from tinysight.integrity import golden
from tinysight.provenance import read_provenance
from training.cli import main
from training.models.edge import build
from training.pretrained import SHIPPED, PretrainedError, pack, read_pretrained
from training.run_folder import load_run, read_record
from training.tf_keras_setup import keras


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of twelve noisy pictures each: a dark and a light one."""
    root = tmp_path_factory.mktemp("data") / "own"
    random = np.random.default_rng(0)
    for label, low in (("dark", 0), ("light", 120)):
        folder = root / "train" / label
        folder.mkdir(parents=True)
        for i in range(12):
            pixels = random.integers(low, low + 120, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def run(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "own"
    assert main(["run", "edge_s", "--data", str(own), "--out", str(out), "--epochs", "2"]) == 0
    return out


def test_the_shipped_weights_are_small_and_known_by_their_model() -> None:
    assert set(SHIPPED) == {"edge_m", "edge_s"}
    assert sum(file.stat().st_size for file in SHIPPED.values()) < 2_000_000
    for name in SHIPPED:
        assert read_pretrained(name).model == name


def test_a_new_model_starts_as_the_same_function() -> None:
    """Two models that are initialized on different images compute the same features."""
    pretrained = read_pretrained("edge_s")
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    first, second = (build("edge_s", (32, 32, 3), classes=3) for _ in range(2))
    pretrained.initialize(first, images[:20])
    pretrained.initialize(second, images[20:])
    for model in (first, second):
        model.get_layer("logits").set_weights([np.eye(128, 3), np.zeros(3)])
    expected, actual = (model.predict(images / 255, verbose=0) for model in (first, second))
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)
    assert np.ptp(expected) > 0.01


def test_batch_normalization_starts_with_the_statistics_of_the_images() -> None:
    """Normalizing by a batch of all of them, as training does, changes nothing."""
    images = np.random.default_rng(0).integers(0, 256, (600, 32, 32, 3), dtype=np.uint8)
    model = build("edge_s", (32, 32, 3), classes=3)
    read_pretrained("edge_s").initialize(model, images)
    pixels = images / np.float32(255)
    expected, actual = (model(pixels, training=mode).numpy() for mode in (False, True))
    np.testing.assert_allclose(actual, expected, atol=1e-3 * np.ptp(expected))


def test_own_images_start_from_the_shipped_weights(run: Path) -> None:
    recipe = read_record(run).recipe
    assert recipe.pretrained == read_pretrained("edge_s").sha256
    assert (recipe.optimizer, recipe.batch_size, recipe.epochs) == ("sgd", 16, 2)


def test_none_starts_at_random(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "edge_s", "--data", str(own), "--out", str(tmp_path / "run"), "--epochs", "1"]
    assert main([*words, "--from", "none"]) == 0
    assert "Starting from" not in capsys.readouterr().err
    assert read_record(tmp_path / "run").recipe.pretrained is None


def test_a_run_is_packed_and_started_from(
    run: Path, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pack", str(run), "--out", str(tmp_path / "first.npz")]) == 0
    pack(str(run), tmp_path / "second.npz")
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()
    words = ["run", "edge_s", "--data", str(own), "--out", str(tmp_path / "run"), "--epochs", "1"]
    assert main([*words, "--from", str(run)]) == 0
    told = f"Starting from {run}, the last layer of these classes included; --from none starts"
    assert told in capsys.readouterr().err
    started = json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]["pretrained"]
    assert started == read_pretrained(str(run)).sha256


def test_what_validates_has_not_been_seen_by_the_weights(
    run: Path, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the data of the weights, another split would validate on their training images."""
    pack(str(run), tmp_path / "packed.npz")
    assert read_pretrained(str(run)).trained_on is not None
    words = ["--data", str(own), "--from", str(run), "--epochs", "1"]
    for command in (["run", "edge_s", "--seed", "1"], ["crossval", "edge_s", "--folds", "2"]):
        assert main([*command, *words, "--out", str(tmp_path / "x")]) == 1
        told = capsys.readouterr().err.splitlines()[-1]
        assert told.startswith("training: the weights to start from were trained on images of this")
        assert not list(tmp_path.glob("x/**/run.json"))
    assert main(["run", "edge_s", *words, "--out", str(tmp_path / "same")]) == 0


def test_the_shipped_weights_know_the_official_cifar10() -> None:
    for name in SHIPPED:
        bundle = read_provenance(load_bundle(name))
        seen = read_pretrained(name).trained_on
        assert bundle is not None
        assert seen is not None
        assert seen.fingerprint == bundle.data.fingerprint


def test_other_models_and_missing_folders_are_one_line(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(own), "--out", str(tmp_path / "run")]
    assert main(["run", "edge_m", *words, "--from", "edge_s"]) == 1
    assert "edge_m cannot start from edge_s" in capsys.readouterr().err
    assert main(["run", "edge_m", *words, "--from", "nowhere"]) == 1
    assert "neither a run folder nor a bundle, nor one of edge_m, edge_s" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    with pytest.raises(PretrainedError, match="not of the edge family"):
        read_pretrained("edge_s").check("resnet8")


def test_a_student_starts_from_weights_too_and_a_teacher_that_is_no_better_is_told(
    own: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["distill", "edge_s", "--data", str(own), "--out", str(tmp_path / "student")]
    words += ["--from", "edge_s", "--teacher", str(run), "--epochs", "2"]
    assert main(words) == 0
    recipe = read_record(tmp_path / "student").recipe
    assert recipe.pretrained == read_pretrained("edge_s").sha256
    assert recipe.teacher is not None
    assert recipe.layer_decay < 1  # a setting of fine-tuning
    printed = capsys.readouterr().err
    assert "Starting from edge_s's weights" in printed
    student, teacher = (load_run(folder).result for folder in (tmp_path / "student", run))
    warned = f"the teacher {run} is not better than its student" in printed
    assert warned == (teacher.validation.value <= student.validation.value)


def test_a_dense_layer_of_the_same_classes_is_kept(run: Path, own: Path, tmp_path: Path) -> None:
    """At a rate of nothing, the new run answers as the one that it started from."""
    words = ["run", "edge_s", "--data", str(own), "--out", str(tmp_path / "more"), "--epochs", "1"]
    words += ["--from", str(run), "--learning-rate", "1e-9", "--no-augment"]
    assert main(words) == 0
    before, after = (
        keras.models.load_model(folder / "model.keras").get_layer("logits").get_weights()
        for folder in (run, tmp_path / "more")
    )
    np.testing.assert_allclose(after[0], before[0], atol=1e-5)
    np.testing.assert_allclose(after[1], before[1], atol=1e-5)
    assert read_pretrained(str(run)).head_of(("light", "dark")) is None  # in another order


def test_a_bundle_starts_a_model_that_answers_as_it_does() -> None:
    """Its dense layer is its last Gemm, in which the average is too."""
    classifier = Classifier.load("edge_m", engine="onnxruntime")
    bundle = classifier.bundle
    pretrained = read_pretrained(str(bundle.folder))
    images = golden.inputs(bundle)
    model = build("edge_m", (32, 32, 3), len(bundle.labels))
    pretrained.initialize(model, images)
    head = pretrained.head_of(bundle.labels)
    assert head is not None
    model.get_layer("logits").set_weights([head.kernel, head.bias])
    expected, actual = classifier.logits(images), model.predict(images / 255, verbose=0)
    assert np.abs(actual - expected).mean() < 0.1 * expected.std()  # int8 activations
