"""Both roads of the training images against the pipeline as it was before there were two.

    python -m benchmarks.studies.earlier_augmentation [RUNS IMAGES]

measures preparing alone and an epoch of three recipes, alternately. Earlier means the augmentation
of commit 1ab822a^, read from git; the rest of the pipeline is the same.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import numpy as np

from benchmarks.studies.training_input import epoch_seconds, input_seconds
from training.data import pipeline
from training.data.augment import AugmentationParams

_REVISION = "1ab822a^"
_MODELS = ("baseline", "edge_m", "airbench")
_CHECKOUT = Path(__file__).resolve().parents[2]


def earlier_augment(revision: str = _REVISION) -> ModuleType:
    """`training.data.augment` of that revision of this checkout."""
    source = subprocess.run(
        ["git", "show", f"{revision}:training/data/augment.py"],
        cwd=_CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    module = ModuleType("earlier_augment")
    sys.modules[module.__name__] = module  # where its dataclasses look for their names
    exec(source, module.__dict__)
    return module


def ratios(measure: Callable[[bool], float], earlier: ModuleType, runs: int) -> list[list[float]]:
    """Seconds of the pipeline and on the device over the earlier pipeline's, by run.

    Args:
        measure: seconds, by the pipeline or on the device (True).
        earlier: from `earlier_augment`.
        runs: of each.
    """
    found = []
    for _ in range(runs):
        with (
            patch.object(AugmentationParams, "apply", earlier.AugmentationParams.apply),
            patch.object(pipeline, "blend", earlier.blend),
        ):
            then = measure(False)
        found.append([measure(False) / then, measure(True) / then])
    return found


def main(words: list[str]) -> None:
    runs, images = map(int, words) if words else (7, 2500)
    earlier = earlier_augment()
    for what in ("input alone", *_MODELS):
        measure = input_seconds(10_000) if what == "input alone" else epoch_seconds(what, images)
        found = np.array(ratios(measure, earlier, runs))
        low, median, high = np.quantile(found, (0.25, 0.5, 0.75), axis=0)
        print(
            f"{what:12} seconds over the earlier pipeline's, median [quartiles] of {runs}: "
            f"pipeline {median[0]:.2f} [{low[0]:.2f}, {high[0]:.2f}], "
            f"on the device {median[1]:.2f} [{low[1]:.2f}, {high[1]:.2f}]",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
