"""Both half precisions: a training that is stopped and resumed ends as one that was not."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

pytest.importorskip("tensorflow")

from tests.training.recorded_progress import RecordedProgress
from training.data import load_dataset
from training.recipes import Recipe
from training.run_folder import Run
from training.tf_keras_setup import keras, tf
from training.train import Job, train

# Muon, on a network with batch normalization, and a moving average of the weights.
RECIPE = Recipe(
    "24s2-32s2",
    epochs=3,
    batch_size=32,
    optimizer="muon",
    learning_rate=0.04,
    ema_decay=0.9,
    augment=True,
)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_stopped_and_resumed_it_ends_as_if_never_stopped(
    precision: Literal["bfloat16", "float16"], tmp_path: Path
) -> None:
    job = Job(replace(RECIPE, precision=precision), load_dataset("digits"), tmp_path / "whole")
    whole = train(job, RecordedProgress())
    stopped = replace(job, out=tmp_path / "stopped", if_exists="resume")
    with pytest.raises(KeyboardInterrupt):
        train(stopped, RecordedProgress(stop_after=1))
    assert keras.mixed_precision.global_policy().name == "float32"
    progress = RecordedProgress()
    resumed = train(stopped, progress)
    assert isinstance(whole, Run)
    assert isinstance(resumed, Run)
    assert progress.resumed_after == 1
    assert resumed.result.device.precision == f"mixed_{precision}"
    assert resumed.result.validation == whole.result.validation
    assert whole.result.validation.value > 0.3  # chance is 10 %
    # What is exported is the same weights in float32.
    model = keras.models.load_model(resumed.folder / "model.keras", compile=False)
    assert {tf.as_dtype(weight.dtype) for weight in model.weights} == {tf.float32}
    assert model.dtype_policy.name == "float32"
