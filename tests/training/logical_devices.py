"""Trains 20 steps on one or two logical CPU devices: run by test_logical_devices.py.

The number of logical devices can only be set once in a process, before anything is computed.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from training.tf_keras_setup import keras, tf

CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)

from tests.training.recorded_progress import RecordedProgress
from training.data import Splits
from training.epochs import FitContext, fit
from training.recipes import Recipe

Optimizer = Literal["adam", "sgd", "muon"]
OPTIMIZERS: tuple[Optimizer, ...] = ("adam", "sgd", "muon")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (150, 8, 8, 3), dtype=np.uint8)
TARGETS = RNG.integers(0, 3, 150)
SPLITS = Splits(np.arange(118), np.arange(130, 150), np.arange(0))
RECIPE = Recipe("baseline", epochs=2, batch_size=13, augment=True)
"""10 steps an epoch. 13 images are 7 on one device and 6 on the other; the last batch is one image,
and nothing on the other device."""


def history(
    devices: int, optimizer: Optimizer, epochs: int, out: Path, on_device: bool
) -> list[dict[str, float]]:
    names = ["CPU:0", "CPU:1"][:devices]
    strategy = tf.distribute.MirroredStrategy(names)
    keras.utils.set_random_seed(0)
    rate = 0.01 if optimizer == "muon" else 1e-3
    # All runs have the schedule of two epochs, the shorter ones stop earlier.
    recipe = replace(RECIPE, optimizer=optimizer, learning_rate=rate)
    with strategy.scope():
        # Neither dropout nor batch normalization: both differ between one device and two.
        model = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                keras.layers.Conv2D(8, 3, activation="relu"),
                keras.layers.Flatten(),
                keras.layers.Dense(3),
            ]
        )
    progress = RecordedProgress(stop_after=epochs if epochs < recipe.epochs else None)
    context = FitContext(
        recipe=recipe,
        values=IMAGES,
        targets=TARGETS,
        splits=SPLITS,
        checkpoints=out,
        devices=strategy,
        progress=progress,
        on_device=on_device,
    )
    try:
        return fit(model, context)
    except KeyboardInterrupt:
        return []


def main(out: Path) -> None:
    results = {}
    for optimizer in OPTIMIZERS:
        results[f"{optimizer} one"] = history(1, optimizer, 2, out / f"{optimizer}-1", False)
        results[f"{optimizer} two"] = history(2, optimizer, 2, out / f"{optimizer}-2", False)
    results["adam images on two"] = history(2, "adam", 2, out / "images", True)
    for first, then in ((1, 2), (2, 1)):
        folder = out / f"{first}-then-{then}"
        history(first, "adam", 1, folder, False)
        results[f"adam {first} then {then}"] = history(then, "adam", 2, folder, False)
    print(json.dumps(results))


main(Path(sys.argv[1]))
