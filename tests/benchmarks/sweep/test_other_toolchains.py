"""Peers: the same weights by other tools' plain roads must give about the same answers."""

import importlib.util
import json

import numpy as np
import pytest

pytest.importorskip("openvino", reason="needs the extra peers")
pytest.importorskip("nncf", reason="needs the extra peers")
pytest.importorskip("ncnn", reason="needs the extra peers")
pytest.importorskip("tf2onnx")
if importlib.util.find_spec("pnnx") is None:  # importing it needs PyTorch, which we do not
    pytest.skip("needs the extra peers", allow_module_level=True)

from benchmarks.cli import main
from benchmarks.sweep.other_toolchains import of_folder
from tinysight import TinysightError
from training.cli import main as train
from training.data import load_dataset
from training.tf_keras_setup import keras

ROADS = {
    ("plain_float32", "onnxruntime"): 1e-4,
    ("plain_int8", "onnxruntime"): 0.2,
    ("plain_int8", "litert"): 0.2,
    ("plain_float32", "openvino"): 0.05,  # which may compute in bfloat16 where the CPU has it
    ("plain_int8", "openvino"): 0.2,
    ("plain_float32", "ncnn"): 0.05,
}
"""How far each may be from Keras, in parts of the logits' spread."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("peers")
    assert train(["run", "baseline", "--out", str(folder / "run"), "--epochs", "2"]) == 0
    assert main(["peers", str(folder / "run"), "--out", str(folder / "out")]) == 0
    return folder / "run", folder / "out"


def test_every_road_answers_as_keras_does(folders):
    run, out = folders
    dataset = load_dataset("digits")
    images = np.array(dataset.images[dataset.parts["test"][:40]])
    wanted = keras.models.load_model(run / "model.keras").predict(images / 255.0, verbose=0)
    peers = list(of_folder(out))
    assert {(peer.recipe, peer.engine) for peer in peers} == set(ROADS)
    for peer in peers:
        answer = peer.open(1)
        logits = answer(images)
        far = np.abs(logits - wanted).max() / np.ptp(wanted)
        assert far < ROADS[peer.recipe, peer.engine], peer.key
        # Another array is prepared anew, also one of another size.
        np.testing.assert_allclose(answer(images[:1]), logits[:1], atol=0.02 * np.ptp(wanted))


def test_a_folder_is_not_replaced_unasked(folders, capsys):
    run, out = folders
    assert main(["peers", str(run), "--out", str(out)]) == 1
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "{}", '{"format": 2}', '{"format": 1, "shape": [1]}'])
def test_what_is_no_list_of_peers_is_one_line(content, tmp_path):
    (tmp_path / "peers.json").write_text(content)
    with pytest.raises(TinysightError, match="holds no peers"):
        list(of_folder(tmp_path))


def test_each_belongs_to_a_bundle(folders):
    _, out = folders
    assert {peer.model for peer in of_folder(out, "mine")} == {"mine"}
    assert {peer.model for peer in of_folder(out)} == {"baseline"}
    json.dumps([peer.labels for peer in of_folder(out)])
