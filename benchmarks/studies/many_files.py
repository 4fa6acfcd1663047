"""`tinysight classify --jobs N` and `tinysight bulk` on many files, against a bare loop."""

import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.studies.startup import run_timed
from tinysight.bundle import load_bundle

_BARE_SCRIPT = Path(__file__).with_name("bare_files_script.py")
_JPEG_SHARE = 2
"""Every so manieth file is a JPEG, the others are PNG."""


@dataclass(frozen=True, slots=True)
class ManyFiles:
    """Whole processes, their start included; medians of the runs, in images a second."""

    files: int
    jobs: int
    runs: int
    classify: float
    """`python -m tinysight classify --jobs JOBS --csv FOLDER`."""
    bare_script: float
    """numpy, Pillow and onnxruntime alone: `bare_files_script.py`."""
    ratio: float
    """Median of the ratios of neighbouring runs, classify's speed over the script's."""
    bulk: float | None
    """`python -m tinysight bulk FOLDER --jobs JOBS`; None where Daft is not installed."""
    bulk_ratio: float | None
    """Likewise, bulk's speed over the script's."""


def measure_many_files(
    bundle: Path | None,
    files: int,
    jobs: int,
    runs: int,
    progress: Callable[[str, int, int], None],
) -> ManyFiles:
    """Writes files of the bundle's size, and runs both alternately.

    Args:
        bundle: its folder, or the name of one in the wheel; None is the wheel's default.
        files: how many, half of them JPEG, half PNG.
        jobs: processes of each.
        runs: of each.
        progress: called while writing and measuring.

    Raises TinysightError where one of them fails.
    """
    described = load_bundle(bundle)
    assert described.folder is not None
    model = described.folder / described.artifact().file
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as answers_name:
        folder = Path(name)
        _write_files(folder, files, described.shape, progress)
        chosen = ("--bundle", str(described.folder), "--artifact", described.default)
        ours = [sys.executable, "-m", "tinysight", "classify", *chosen]
        ours += ["--csv", "--jobs", str(jobs), str(folder)]
        bare = [sys.executable, str(_BARE_SCRIPT), str(model), str(folder), str(jobs)]
        answers = Path(answers_name)
        bulk = [sys.executable, "-m", "tinysight", "bulk", *chosen, "--jobs", str(jobs)]
        bulk += [str(folder), "--out", str(answers / "answers")]
        with_bulk = importlib.util.find_spec("daft") is not None
        times = []
        for number in range(runs):
            progress("measuring, run", number + 1, runs)
            times.append(
                (run_timed(ours), run_timed(bare), run_timed(bulk) if with_bulk else np.nan)
            )
            shutil.rmtree(answers / "answers", ignore_errors=True)  # else it would go on with it
    milliseconds = np.array(times)
    of_ours, of_bare, of_bulk = 1e3 * files / np.median(milliseconds, axis=0)
    ratios = np.median(milliseconds[:, 1:2] / milliseconds, axis=0)
    return ManyFiles(
        files=files,
        jobs=jobs,
        runs=runs,
        classify=float(of_ours),
        bare_script=float(of_bare),
        ratio=float(ratios[0]),
        bulk=float(of_bulk) if with_bulk else None,
        bulk_ratio=float(ratios[2]) if with_bulk else None,
    )


def _write_files(
    folder: Path, files: int, shape: tuple[int, int], progress: Callable[[str, int, int], None]
) -> None:
    """Smooth random pictures with some noise, which compress about as photos do."""
    random = np.random.default_rng(0)
    for number in range(files):
        coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize(shape[::-1], Image.Resampling.BICUBIC), dtype=np.int16)
        noisy = (smooth + random.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8)
        ending = "png" if number % _JPEG_SHARE else "jpg"
        Image.fromarray(noisy).save(folder / f"{number:06}.{ending}")
        if number % 500 == 0:
            progress("writing pictures", number, files)
