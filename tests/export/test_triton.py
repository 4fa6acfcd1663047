"""The model repository: what Triton would read, and that other models stay."""

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from export.cli import main
from tinysight import Classifier, load_bundle

TINY = Path(__file__).parents[1] / "tiny" / "bundle"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "other").mkdir()
    assert main(["triton", "edge_s", "--out", str(tmp_path), "--max-batch", "16"]) == 0
    return tmp_path


def test_the_model_is_the_default_artifact(repository: Path) -> None:
    session = onnxruntime.InferenceSession(repository / "edge_s" / "1" / "model.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    (logits,) = session.run(None, {session.get_inputs()[0].name: pixels})
    assert (logits == Classifier.load("edge_s", artifact="static_w8a8").logits(pixels)).all()
    labels = (repository / "edge_s" / "labels.txt").read_text().splitlines()
    assert labels == list(load_bundle("edge_s").labels)


def test_the_configuration_is_one_that_triton_parses(repository: Path) -> None:
    reason = "needs tritonclient and protobuf: pip install tritonclient protobuf"
    text_format = pytest.importorskip("google.protobuf.text_format", reason=reason)
    proto = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason=reason)
    text = (repository / "edge_s" / "config.pbtxt").read_text()
    config = text_format.Parse(text, proto.ModelConfig())
    session = onnxruntime.InferenceSession(repository / "edge_s" / "1" / "model.onnx")
    assert (config.name, config.backend, config.max_batch_size) == ("edge_s", "onnxruntime", 16)
    assert config.input[0].name == session.get_inputs()[0].name
    assert list(config.input[0].dims) == session.get_inputs()[0].shape[1:]
    assert proto.DataType.Name(config.input[0].data_type) == "TYPE_UINT8"
    assert config.output[0].name == session.get_outputs()[0].name
    assert list(config.output[0].dims) == session.get_outputs()[0].shape[1:]
    assert config.output[0].label_filename == "labels.txt"


def test_other_models_stay_and_the_same_is_refused(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (repository / "other").is_dir()
    assert main(["triton", "edge_s", "--out", str(repository)]) == 1
    assert "exists: --overwrite replaces it" in capsys.readouterr().err
    assert main(["triton", "edge_s", "--out", str(repository), "--overwrite"]) == 0


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_the_bundle_itself_is_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    """Its folder has its name: `--out bundles` for bundles/tiny would put the model there."""
    bundle = tmp_path / "tiny"
    shutil.copytree(TINY, bundle)
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    assert main(["triton", str(bundle), "--out", str(tmp_path), *options]) == 1
    message = f"export: {bundle} is not a model for Triton; it is not replaced\n"
    assert capsys.readouterr().err == message
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


def test_a_batch_of_none_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["triton", "edge_s", "--out", str(tmp_path), "--max-batch", "0"])
    assert ended.value.code == 2
