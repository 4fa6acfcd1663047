"""Golden answers: what a device must reproduce, without the training framework or any image."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.preprocess import Pixels

COUNT = 8
_SEED = b"tinysight golden 1"


def inputs(height: int, width: int) -> Pixels:
    """Returns the inputs, uint8 (COUNT, height, width, 3): the same on every machine, for ever.

    They come from SHAKE-256, a published function, since numpy promises no stability of its
    random numbers. Each is noise, coarse in the first (one colour) and fine in the last.
    """
    size = COUNT * height * width * 3
    noise = np.frombuffer(hashlib.shake_256(_SEED).digest(size), dtype=np.uint8)
    images = noise.reshape(COUNT, height, width, 3).copy()
    for index, image in enumerate(images):
        grain = max(1, max(height, width) >> index)
        coarse = image[::grain, ::grain]
        image[:] = coarse.repeat(grain, axis=0).repeat(grain, axis=1)[:height, :width]
    return images


def record(logits: NDArray[np.float32], tolerance: float) -> dict[str, Any]:
    """What bundle.json keeps of the workstation's answers, float32 (COUNT, classes)."""
    rows = [[float(f"{value:.7g}") for value in row] for row in logits]
    return {"logits": rows, "tolerance": tolerance}


def difference(logits: NDArray[np.float32], golden: Mapping[str, Any]) -> float:
    """The largest difference from the recorded logits, relative to their spread (max - min)."""
    wanted = np.asarray(golden["logits"], dtype=np.float32)
    if wanted.shape != logits.shape:
        return float("inf")
    return float(np.abs(logits - wanted).max() / max(float(np.ptp(wanted)), 1e-12))
