"""Both half precisions, from training through SIGKILL and resuming to an int8 model on a device."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for package in ("tensorflow", "tf2onnx", "rich", "sklearn"):
    pytest.importorskip(package)

from export.api import build
from tests.training import interrupt
from tests.training.recorded_progress import RecordedProgress
from tinysight import Classifier
from training.data import load_dataset
from training.recipes import Recipe
from training.run_folder import Run
from training.tf_keras_setup import keras, tf
from training.train import Job, train

# Muon, on a network with batch normalization, and a moving average of the weights.
SETTINGS: dict[str, Any] = {
    "model": "24s2-32s2",
    "epochs": 3,
    "batch_size": 32,
    "optimizer": "muon",
    "learning_rate": 0.04,
    "ema_decay": 0.9,
    "augment": True,
}


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_killed_resumed_and_exported(precision: str, tmp_path: Path) -> None:
    settings = SETTINGS | {"precision": precision}
    killed = tmp_path / "killed"
    interrupt.kill_at(killed, "after the first", settings)
    assert [path.name for path in (killed / "checkpoints").iterdir()] == ["epoch-0001"]

    dataset = load_dataset("digits")
    job = Job(Recipe(**settings), dataset, killed, if_exists="resume")
    progress = RecordedProgress()
    resumed = train(job, progress)
    whole = train(dataclasses.replace(job, out=tmp_path / "whole"), RecordedProgress())
    assert isinstance(resumed, Run)
    assert isinstance(whole, Run)
    assert progress.resumed_after == 1
    assert resumed.result.device.precision == f"mixed_{precision}"
    assert resumed.result.validation == whole.result.validation
    assert resumed.result.validation.value > 0.3  # chance is 10 %

    # The file has the same weights in float32.
    model = keras.models.load_model(resumed.model_file, compile=False)
    assert {tf.as_dtype(weight.dtype) for weight in model.weights} == {tf.float32}
    assert model.dtype_policy.name == "float32"
    bundle = build(
        resumed, tmp_path / "bundle", data=dataset, recipes=("static_w8a8",), formats=("onnx",)
    ).bundle
    assert bundle.default == "static_w8a8"
    images = dataset.images[dataset.parts["test"]]
    logits = model.predict(images.astype(np.float32) / 255, verbose=0)
    device = Classifier.load(tmp_path / "bundle")
    answers = [bundle.labels.index(one.label) for one in device.classify_many(list(images))]
    # So short a training leaves images near the border of two classes.
    assert np.mean(logits.argmax(axis=1) == answers) > 0.9
