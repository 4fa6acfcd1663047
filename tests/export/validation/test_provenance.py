"""Every artifact carries its certificate; an export that would leak an image is refused."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from export import builder as module
from export.builder import build, calibration_indices
from export.passes import ExportError
from export.recipes import RECIPES
from export.validation.provenance import LeakError, data_record, reference_of
from tinysight import load_bundle
from tinysight.integrity.data_split import verify_split
from training.data import split


@pytest.fixture(scope="module")
def bundle(run, dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("certified") / "digits"
    build(run, dataset, out, name="digits", recipes=["float32", "static_w8a8"])
    return load_bundle(out)


@pytest.fixture(scope="module")
def splits(run, dataset):
    return split(dataset, run.record["recipe"]["seed"])


def test_the_chain_is_whole(bundle, dataset):
    """Keras = TFLite = ONNX = int8, on every validation and test image."""
    for artifact in bundle.artifacts:
        for part in ("validation", "test"):
            parity = artifact.parity[part]
            assert parity["top1_agreement"] > (1 - 1e-9 if artifact.recipe == "float32" else 0.95)
            assert set(parity["margin"]) == {"mean", "mean_shrink", "max_shrink", "thin"}
            paired = parity["mcnemar"]
            lost = (paired["only_trained"] - paired["only_artifact"]) / parity["images"]
            trained = bundle.artifact("float32").parity[part]["accuracy"]
            assert parity["accuracy"] == pytest.approx(trained - lost)
            assert 0 < paired["p"] <= 1
        assert len(artifact.golden["logits"]) == 32


def test_int8_says_where_it_leaves_float32(bundle):
    for artifact in bundle.artifacts:
        layers = artifact.parity["layers"]
        if artifact.recipe == "float32":
            assert layers is None
            continue
        assert layers["against"] == "float32"
        assert list(layers["layers_db"]) == ["conv1", "conv2", "conv3", "dense1", "logits"]
        assert layers["images"] == 32
    onnx, tflite = bundle.artifact("static_w8a8"), bundle.artifact("static_w8a8.tflite")
    assert onnx.parity["int16_saturation_record"]["images"] == 32
    assert tflite.parity["int16_saturation_record"] is None


def test_the_proof_stands_in_the_bundle_alone(bundle, run, dataset):
    assert verify_split(bundle.data)
    for part, entry in run.record["data"]["splits"].items():
        assert bundle.data["splits"][part] == entry
    assert bundle.data["union"]["n"] == len(dataset.targets)


def test_a_calibration_image_from_the_test_set_is_refused(run, dataset, tmp_path, monkeypatch):
    """Before anything is converted, and with nothing written."""

    def leaking(splits, seed):
        return np.append(calibration_indices(splits, seed), splits.test[0])

    monkeypatch.setattr(module, "calibration_indices", leaking)
    monkeypatch.setattr(module, "Converter", None)
    with pytest.raises(LeakError, match=r"1 image of calibration is not in train: .* of test"):
        build(run, dataset, tmp_path / "b", name="x", recipes=["float32"])
    assert list(tmp_path.iterdir()) == []
    assert issubclass(LeakError, ExportError)


def test_pictures_that_the_data_brings_twice_are_counted(dataset, splits):
    images = np.array(dataset.images)
    images[splits.test[:3]] = images[splits.train[:3]]
    images[splits.val[0]] = images[splits.train[0]]
    twice = dataclasses.replace(dataset, images=images)
    calibration = calibration_indices(splits, 0)
    found = data_record(twice, splits, calibration)
    assert found["duplicates"]["train_test"] >= 3
    assert found["duplicates"]["train_val"] >= 1
    assert any("pixel for pixel" in note for note in found["notes"])
    plain = data_record(dataset, splits, calibration)
    assert plain["duplicates"]["train_test"] == found["duplicates"]["train_test"] - 3


@pytest.mark.parametrize(
    ("recipe", "reference"),
    [
        ("static_w8a8", "float32"),
        ("float16", "float32"),
        ("qat_w8a8", "float32"),
        ("pruned_static_w8a8", "pruned_float32"),
        ("clustered_static_w8a8", "clustered_float32"),
    ],
)
def test_quantization_is_held_against_the_same_weights(recipe, reference):
    assert reference_of(RECIPES[recipe]).name == reference
