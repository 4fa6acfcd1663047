"""Every artifact carries its checks: against the trained model, by layer, and for other CPUs."""

import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from export.builder import ExportOptions, build
from export.recipes import RECIPES
from export.validation.artifact_checks import float32_reference
from tinysight import load_bundle
from tinysight.bundle import Artifact, Bundle
from tinysight.bundle_records import ArtifactChecks
from training.data import Dataset
from training.run_folder import Run


@pytest.fixture(scope="module")
def bundle(run: Run, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("checked") / "digits"
    build(run, dataset, out, ExportOptions("digits", ("float32", "static_w8a8")))
    return load_bundle(out)


def checks_of(artifact: Artifact) -> ArtifactChecks:
    assert artifact.checks is not None
    return artifact.checks


@pytest.mark.parametrize("part", ["validation", "test"])
def test_all_artifacts_agree_with_the_trained_model(bundle: Bundle, part: str) -> None:
    """Keras = TFLite = ONNX = int8, on every validation and test image."""
    float32 = getattr(checks_of(bundle.artifact("float32")), part)
    for artifact in bundle.artifacts:
        parity = getattr(checks_of(artifact), part)
        assert parity.top1_agreement > (1 - 1e-9 if artifact.recipe == "float32" else 0.95)
        paired = parity.mcnemar
        lost = paired.only_first - paired.only_second
        assert parity.accuracy.correct == float32.accuracy.correct - lost
        assert 0 < paired.p <= 1
        assert artifact.golden is not None
        assert len(artifact.golden.logits) == 32


def test_int8_says_where_it_leaves_float32(bundle: Bundle) -> None:
    for artifact in bundle.artifacts:
        layers = checks_of(artifact).layers
        if artifact.recipe == "float32":
            assert layers is None
            continue
        assert layers is not None
        assert layers.against == "float32"
        assert list(layers.layers_db) == ["conv1", "conv2", "conv3", "dense1", "logits"]
        assert layers.images == 32


def test_saturation_is_emulated_for_onnx_alone(bundle: Bundle) -> None:
    emulated = checks_of(bundle.artifact("static_w8a8")).int16_saturation
    assert emulated is not None
    assert emulated.images == 32
    assert checks_of(bundle.artifact("static_w8a8.tflite")).int16_saturation is None


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
def test_quantization_is_compared_with_the_same_weights(recipe: str, reference: str) -> None:
    assert float32_reference(RECIPES[recipe]).name == reference
