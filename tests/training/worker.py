"""One worker of a distributed training: run by test_distribute.py in processes of their own."""

import json
import sys
from pathlib import Path

from training.data import load_dataset, split
from training.distribute import strategy

devices = strategy()

from tests.training.recorded_progress import RecordedProgress
from training.epochs import FitContext, fit
from training.recipes import Recipe
from training.tf_keras_setup import keras


def main(out: Path) -> None:
    recipe = Recipe("baseline", epochs=2, batch_size=64)
    dataset = load_dataset("digits")
    keras.utils.set_random_seed(0)
    with devices.scope():
        # No dropout, whose masks would differ between one replica and two.
        model = keras.Sequential(
            [
                keras.Input(dataset.images.shape[1:]),
                keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
                keras.layers.Flatten(),
                keras.layers.Dense(10),
            ]
        )
    splits = split(dataset, recipe.seed, recipe.val_fraction)
    context = FitContext(
        recipe=recipe,
        values=dataset.images,
        targets=dataset.targets,
        splits=splits,
        checkpoints=out / "checkpoints",
        devices=devices,
        progress=RecordedProgress(),
    )
    history = fit(model, context)
    print(json.dumps({"replicas": devices.num_replicas_in_sync, "history": history}))


main(Path(sys.argv[1]))
