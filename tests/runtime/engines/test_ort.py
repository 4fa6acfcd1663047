"""onnxruntime's sessions and engine, and what the registry says of both engines."""

from pathlib import Path

import numpy as np
import pytest

from tinysight import BundleError, load_bundle
from tinysight.benchmark.onnx_bytes import identity_model
from tinysight.engines.ort import OnnxRuntimeEngine, make_session
from tinysight.engines.registry import ENGINES, EngineSpec, engine_of, installed, open_engine


def test_a_session_has_the_settings_that_it_is_asked_for(tmp_path: Path) -> None:
    session = make_session(
        identity_model(),
        2,
        optimized_file=tmp_path / "optimized.onnx",
        profile_prefix=tmp_path / "profile",
    )
    assert session.get_session_options().intra_op_num_threads == 2
    assert session.get_providers() == ["CPUExecutionProvider"]
    image = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    assert np.array_equal(session.run(None, {"image": image})[0], image)
    assert (tmp_path / "optimized.onnx").stat().st_size > 0
    profile = Path(session.end_profiling())
    assert profile.parent == tmp_path
    assert "Identity" in profile.read_text()


def test_a_session_without_optimization_runs_the_graph_as_written() -> None:
    import onnxruntime

    levels = onnxruntime.GraphOptimizationLevel
    plain = make_session(identity_model(), optimize=False).get_session_options()
    assert plain.graph_optimization_level == levels.ORT_DISABLE_ALL
    usual = make_session(identity_model()).get_session_options()
    assert usual.graph_optimization_level == levels.ORT_ENABLE_ALL


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(BundleError, match="onnxruntime cannot load it"):
        OnnxRuntimeEngine(b"no model", (8, 8), 3)


@pytest.mark.parametrize(("shape", "classes"), [((9, 8), 3), ((8, 8), 4)])
def test_another_contract_than_the_bundles_is_refused(
    shape: tuple[int, int], classes: int, tiny: Path
) -> None:
    content = (tiny / "float32.onnx").read_bytes()
    with pytest.raises(BundleError, match="it takes and gives"):
        OnnxRuntimeEngine(content, shape, classes)


def test_each_format_has_one_engine_and_onnxruntime_is_installed(tiny: Path) -> None:
    assert sorted(spec.format for spec in ENGINES.values()) == ["onnx", "tflite"]
    assert all(name == spec.name for name, spec in ENGINES.items())
    assert installed("onnxruntime")
    bundle = load_bundle(tiny)
    assert engine_of(bundle.artifact()) == "onnxruntime"
    engine = open_engine(bundle, bundle.artifact(), threads=2)
    assert engine.run(np.zeros((2, 8, 8, 3), np.uint8)).shape == (2, 3)


def test_a_spec_is_checked() -> None:
    with pytest.raises(ValueError, match="a name, a package and a module"):
        EngineSpec("", "p", "m", "onnx", lambda *_: None, OnnxRuntimeEngine)
