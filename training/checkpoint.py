"""Checkpoints that are complete or absent: one folder per epoch, renamed into place."""

import json
import shutil
from pathlib import Path
from typing import Any

from tinysight.files import new_folder
from training.optim.ema import WeightEma
from training.run_folder import History, newest_checkpoint
from training.tf_keras_setup import keras, tf


def save(folder: Path, model: Any, ema: WeightEma | None, history: History) -> None:
    """Writes the state after epoch `len(history)`, then deletes the older checkpoints."""
    target = folder / f"epoch-{len(history):04d}"
    with new_folder(target, overwrite=True) as temporary:
        _tracked(model, ema).write(str(temporary / "state"))
        (temporary / "history.json").write_text(json.dumps(history), encoding="utf-8")
    for other in (*folder.glob("epoch-*"), *folder.glob(".epoch-*")):  # of killed processes too
        if other != target:
            shutil.rmtree(other)


def restore(folder: Path, model: Any, ema: WeightEma | None) -> History:
    """Loads the newest checkpoint into model and average; returns the history of its epochs."""
    found = newest_checkpoint(folder)
    if found is None:
        return []
    # The optimizer's slots must exist before they can be filled.
    model.optimizer.build(model.trainable_variables)
    _tracked(model, ema).read(str(found / "state")).assert_consumed()
    history: History = json.loads((found / "history.json").read_text("utf-8"))
    return history


def _tracked(model: Any, ema: WeightEma | None) -> Any:
    """All that a run needs to continue exactly: weights, optimizer, average, dropout's generators.

    Keras leaves the generators of its random layers out of its own checkpoints, so they are
    named here.
    """
    generators = [
        layer._random_generator._generator
        for layer in model.layers
        if isinstance(layer, keras.__internal__.layers.BaseRandomLayer)
    ]
    state = {} if ema is None else {"average": ema.state}
    return tf.train.Checkpoint(
        model=model, optimizer=model.optimizer, generators=generators, **state
    )
