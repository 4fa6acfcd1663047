"""A whole process of `tinysight classify`, against a bare script that does the same."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tinysight.bundle import load_bundle
from tinysight.errors import TinysightError

_BARE_SCRIPT = Path(__file__).with_name("bare_script.py")
_SIDE = 64
"""Of the picture, in pixels: as small as such pictures are, and not the model's own size."""


@dataclass(frozen=True, slots=True)
class Startup:
    """Whole processes, from their start to their end; medians in milliseconds."""

    classify_ms: float
    """`python -m tinysight classify PICTURE`."""
    bare_script_ms: float
    """numpy, Pillow and onnxruntime alone: `bare_script.py`."""
    ratio: float
    """The median of the ratios of neighbouring processes."""
    runs: int
    """Processes of each."""


def measure_startup(bundle: Path | None, runs: int) -> Startup:
    """Runs both alternately, after one of each that is discarded.

    Args:
        bundle: its folder, or the name of one in the wheel; None is the wheel's default.
        runs: processes of each.

    Raises TinysightError where one of them fails.
    """
    description = load_bundle(bundle)
    assert description.folder is not None
    model = description.folder / description.artifact().file
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        pixels = np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(picture)
        chosen = ("--bundle", str(description.folder), "--artifact", description.default)
        classify = [sys.executable, "-m", "tinysight", "classify", *chosen, str(picture)]
        bare = [sys.executable, str(_BARE_SCRIPT), str(model), str(picture)]
        times = np.array([[run_timed(classify), run_timed(bare)] for _ in range(runs + 1)])[1:]
    return Startup(
        classify_ms=float(np.median(times[:, 0])),
        bare_script_ms=float(np.median(times[:, 1])),
        ratio=float(np.median(times[:, 0] / times[:, 1])),
        runs=runs,
    )


def run_timed(command: Sequence[str]) -> float:
    """The milliseconds that a process takes."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=False)
    took = time.perf_counter() - began
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise TinysightError(f"{' '.join(command[1:4])} failed: {lines[-1]}")
    return 1e3 * took
