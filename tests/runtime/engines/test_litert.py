"""LiteRT: the same answers as onnxruntime, the same checks, one line where it is missing."""

import dataclasses
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysight import BundleError, Classifier, load_bundle
from tinysight.engines.registry import engine_of, open_engine, resolve_artifact, runnable
from tinysight.errors import MissingExtraError
from tinysight.integrity import golden

pytest.importorskip("ai_edge_litert")

from tinysight.engines.litert import LiteRTEngine

BUNDLE = Path(__file__).parents[2] / "tiny" / "bundle_litert"


@pytest.fixture(scope="module")
def litert() -> LiteRTEngine:
    return LiteRTEngine((BUNDLE / "float32.tflite").read_bytes(), (8, 8), 3)


@given(seed=st.integers(0, 2**32 - 1), batches=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_both_engines_answer_alike_whatever_the_batch(seed: int, batches: list[int]) -> None:
    bundle = load_bundle(BUNDLE)
    onnxruntime, litert = (open_engine(bundle, artifact) for artifact in bundle.artifacts)
    rng = np.random.default_rng(seed)
    for n in batches:
        images = rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
        np.testing.assert_allclose(litert.run(images), onnxruntime.run(images), rtol=1e-6)


def test_an_answer_stays_when_the_next_one_comes(litert: LiteRTEngine) -> None:
    black, white = np.zeros((1, 8, 8, 3), np.uint8), np.full((1, 8, 8, 3), 255, np.uint8)
    first = litert.run(black)
    litert.run(white)
    assert (first == 0).all()


def test_many_threads_share_one_classifier() -> None:
    classifier = Classifier.load(BUNDLE, engine="litert")
    images = golden.noise(8, 8)
    expected = [classifier.classify(image).index for image in images]
    with ThreadPoolExecutor(8) as pool:
        actual = list(pool.map(lambda i: classifier.classify(images[i % 32]).index, range(800)))
    assert actual == [expected[i % 32] for i in range(800)]


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(BundleError, match="LiteRT cannot load it"):
        LiteRTEngine(b"no model", (8, 8), 3)


def test_another_shape_than_the_bundle_says_is_refused() -> None:
    content = (BUNDLE / "float32.tflite").read_bytes()
    with pytest.raises(BundleError, match="it takes and gives"):
        LiteRTEngine(content, (9, 8), 3)
    with pytest.raises(BundleError, match="it takes and gives"):
        LiteRTEngine(content, (8, 8), 4)


def test_a_damaged_file_never_reaches_the_engine(tmp_path: Path) -> None:
    for file in BUNDLE.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    content = bytearray((tmp_path / "float32.tflite").read_bytes())
    content[-9] ^= 1
    (tmp_path / "float32.tflite").write_bytes(content)
    with pytest.raises(BundleError, match="SHA-256"):
        Classifier.load(tmp_path, engine="litert")


def test_an_engine_is_resolved_by_name_and_by_artifact() -> None:
    bundle = load_bundle(BUNDLE)
    assert [engine_of(a) for a in runnable(bundle)] == ["onnxruntime", "litert"]
    assert resolve_artifact(bundle, None, None).format == "onnx"
    assert resolve_artifact(bundle, None, "litert").name == "float32.tflite"
    assert resolve_artifact(bundle, "float32.tflite", None).format == "tflite"
    with pytest.raises(BundleError, match="does not run"):
        resolve_artifact(bundle, "float32", "litert")
    with pytest.raises(ValueError, match="unknown engine"):
        resolve_artifact(bundle, None, "torch")
    bare = dataclasses.replace(bundle, artifacts=bundle.artifacts[:1])
    with pytest.raises(BundleError, match="no artifact for litert"):
        resolve_artifact(bare, None, "litert")


def test_without_the_extra_there_is_one_clear_line() -> None:
    """In a process where the package cannot be found."""
    code = (
        "import sys; sys.modules['ai_edge_litert'] = None\n"
        "from tinysight.cli.main import main\n"
        f"sys.exit(main(['classify', '--bundle', {str(BUNDLE)!r}, '--engine', 'litert', 'x.png']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "tinysight: LiteRT is not installed: pip install 'tinysight[litert]' brings it"
    ]


def test_the_error_is_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingExtraError):
        Classifier.load(BUNDLE, engine="litert")
