"""Checkpoints that are whole or not there: one folder an epoch, renamed into place."""

import json
import shutil
from pathlib import Path
from typing import Any

from tinysight.files import new_folder
from training.optim.ema import WeightEma
from training.tf_keras_setup import keras, tf


def tracked(model: Any, ema_decay: WeightEma | None) -> Any:
    """What a run must hold to go on exactly: weights, optimizer, average, the state of dropout.

    Keras leaves the generators of its random layers out of its own checkpoints, so they are
    named here.
    """
    generators = [
        layer._random_generator._generator
        for layer in model.layers
        if isinstance(layer, keras.__internal__.layers.BaseRandomLayer)
    ]
    state = {} if ema_decay is None else {"average": ema_decay.state}
    return tf.train.Checkpoint(
        model=model, optimizer=model.optimizer, generators=generators, **state
    )


def save(
    folder: Path, model: Any, ema_decay: WeightEma | None, history: list[dict[str, float]]
) -> None:
    """Writes the state after epoch `len(history)` and then drops the older checkpoints."""
    target = folder / f"epoch-{len(history):04d}"
    with new_folder(target, overwrite=True) as temporary:
        tracked(model, ema_decay).write(str(temporary / "state"))
        (temporary / "history.json").write_text(json.dumps(history), encoding="utf-8")
    for other in (*folder.glob("epoch-*"), *folder.glob(".epoch-*")):  # of killed processes too
        if other != target:
            shutil.rmtree(other)


def newest(folder: Path) -> Path | None:
    """The checkpoint of the latest epoch that was written whole."""
    return max(folder.glob("epoch-*"), default=None)


def restore(folder: Path, model: Any, ema_decay: WeightEma | None) -> list[dict[str, float]]:
    """Puts the newest checkpoint into model and average; returns the history of its epochs."""
    found = newest(folder)
    if found is None:
        return []
    # The optimizer's slots must exist before they can be filled in at once.
    model.optimizer.build(model.trainable_variables)
    tracked(model, ema_decay).read(str(found / "state")).assert_consumed()
    history: list[dict[str, float]] = json.loads((found / "history.json").read_text("utf-8"))
    return history
