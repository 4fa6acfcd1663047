"""Other toolchains' default conversions of the same weights must give about the same logits."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("openvino", reason="needs the extra toolchains")
pytest.importorskip("nncf", reason="needs the extra toolchains")
pytest.importorskip("ncnn", reason="needs the extra toolchains")
pytest.importorskip("tf2onnx")
if importlib.util.find_spec("pnnx") is None:  # importing it needs PyTorch, which we do not
    pytest.skip("needs the extra toolchains", allow_module_level=True)

from benchmarks.cli import main
from benchmarks.sweep.other_toolchains import NAME, of_folder
from tinysight import TinysightError
from training.cli import main as train
from training.data import load_dataset
from training.tf_keras_setup import keras

MAX_ERRORS = {
    ("default_float32", "onnxruntime"): 1e-4,
    ("default_int8", "onnxruntime"): 0.2,
    ("default_int8", "litert"): 0.2,
    ("default_float32", "openvino"): 0.05,  # which may compute in bfloat16 where the CPU has it
    ("default_int8", "openvino"): 0.2,
    ("default_float32", "ncnn"): 0.05,
}
"""The largest difference from Keras of each, relative to the logits' spread."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("toolchains")
    assert train(["run", "baseline", "--out", str(folder / "run"), "--epochs", "2"]) == 0
    assert main(["toolchains", str(folder / "run"), "--out", str(folder / "out")]) == 0
    return folder / "run", folder / "out"


def test_every_conversion_gives_the_logits_of_keras(folders: tuple[Path, Path]) -> None:
    run, out = folders
    dataset = load_dataset("digits")
    images = np.array(dataset.images[dataset.parts["test"][:40]])
    expected = keras.models.load_model(run / "model.keras").predict(images / 255.0, verbose=0)
    targets = list(of_folder(out))
    assert {(one.variant.recipe, one.variant.engine) for one in targets} == set(MAX_ERRORS)
    for target in targets:
        infer = target.open(1)
        logits = infer(images)
        error = np.abs(logits - expected).max() / np.ptp(expected)
        assert error < MAX_ERRORS[target.variant.recipe, target.variant.engine], target.key
        # Another array is prepared anew, also one of another size.
        np.testing.assert_allclose(infer(images[:1]), logits[:1], atol=0.02 * np.ptp(expected))


def test_a_folder_is_not_replaced_unasked(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = folders
    assert main(["toolchains", str(run), "--out", str(out)]) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_each_belongs_to_a_bundle(folders: tuple[Path, Path]) -> None:
    _, out = folders
    assert {target.variant.model for target in of_folder(out, "mine")} == {"mine"}
    assert {target.variant.model for target in of_folder(out)} == {"baseline"}


def test_a_damaged_list_of_conversions_is_one_line(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    _, out = folders
    content = json.loads((out / NAME).read_text())
    changes: list[dict[str, object]]
    changes = [{"format": 1}, {"shape": [1]}, {"conversions": [{}]}, {"more": 1}]
    for change in changes:
        (tmp_path / NAME).write_text(json.dumps({**content, **change}))
        with pytest.raises(TinysightError, match="holds no conversions") as caught:
            list(of_folder(tmp_path))
        assert "\n" not in str(caught.value)
    content["conversions"][0]["engine"] = "torch"
    (tmp_path / NAME).write_text(json.dumps(content))
    with pytest.raises(TinysightError, match="unknown engine"):
        list(of_folder(tmp_path))
