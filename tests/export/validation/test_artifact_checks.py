"""Every artifact carries its checks: against the trained model, by layer, and for other CPUs."""

from collections.abc import Mapping

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from export.builder import ExportOptions, build
from export.recipes import RECIPES
from export.validation.artifact_checks import float32_reference
from tinysight import load_bundle
from tinysight.bundle import Bundle
from tinysight.engines.registry import open_engine
from tinysight.integrity import golden
from tinysight.provenance import ArtifactChecks, require_provenance
from training.data import Dataset
from training.run_folder import Run


@pytest.fixture(scope="module")
def bundle(run: Run, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("checked") / "digits"
    build(run, dataset, out, ExportOptions("digits", ("float32", "static_w8a8")))
    return load_bundle(out)


@pytest.fixture(scope="module")
def checks(bundle: Bundle) -> Mapping[str, ArtifactChecks]:
    return require_provenance(bundle).artifacts


def test_every_artifact_has_its_checks_and_golden_answers(
    bundle: Bundle, checks: Mapping[str, ArtifactChecks]
) -> None:
    assert list(checks) == [artifact.name for artifact in bundle.artifacts]
    for artifact in bundle.artifacts:
        assert artifact.golden is not None
        assert len(artifact.golden.logits) == 32


def test_the_golden_inputs_show_every_class_and_excite_the_model(bundle: Bundle) -> None:
    engine = open_engine(bundle, bundle.artifact("float32"))
    noise, painted = engine.run(golden.noise(*bundle.shape)), engine.run(golden.inputs(bundle))
    assert (painted.argmax(axis=1) == np.arange(32) % 10).mean() > 0.9
    assert len(set(noise.argmax(axis=1))) < 10
    best = np.sort(painted, axis=1)
    assert np.median(best[:, -1] - best[:, -2]) > 3  # twenty to one


@pytest.mark.parametrize("part", ["validation", "test"])
def test_all_artifacts_agree_with_the_trained_model(
    checks: Mapping[str, ArtifactChecks], part: str
) -> None:
    """Keras = TFLite = ONNX = int8, on every validation and test image."""
    float32 = getattr(checks["float32"], part)
    for name, one in checks.items():
        parity = getattr(one, part)
        assert parity.top1_agreement > (1 - 1e-9 if name.startswith("float32") else 0.95)
        paired = parity.mcnemar
        lost = paired.only_first - paired.only_second
        assert parity.accuracy.correct == float32.accuracy.correct - lost
        assert 0 < paired.p <= 1


def test_int8_says_where_it_leaves_float32(checks: Mapping[str, ArtifactChecks]) -> None:
    for name, one in checks.items():
        if name.startswith("float32"):
            assert one.layers is None
            continue
        assert one.layers is not None
        assert one.layers.against == "float32"
        assert list(one.layers.layers_db) == ["conv1", "conv2", "conv3", "dense1", "logits"]
        assert one.layers.images == 32


def test_saturation_is_emulated_for_onnx_alone(checks: Mapping[str, ArtifactChecks]) -> None:
    emulated = checks["static_w8a8"].int16_saturation
    assert emulated is not None
    assert emulated.images == 32
    assert checks["static_w8a8.tflite"].int16_saturation is None


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
