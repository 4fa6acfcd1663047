"""Real results of the tiny bundle: measured once, in two processes, on images of three colours."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from benchmarks.sweep.result import SweepResult

TINY = Path(__file__).parents[1] / "tiny" / "bundle"


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noisy red, green and blue images in class folders, of the tiny model's size."""
    from PIL import Image

    root = tmp_path_factory.mktemp("colours")
    draw = np.random.default_rng(0)
    for part, count in (("train", 4), ("test", 5)):
        for index, name in enumerate(("blue", "green", "red")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 100, (8, 8, 3), dtype=np.uint8)
                pixels[..., 2 - index] += 100
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


@pytest.fixture
def broken_colours(colours: Path, tmp_path: Path) -> Path:
    """The same, and a picture that cannot be read."""
    root = shutil.copytree(colours, tmp_path / "broken_colours")
    (root / "test" / "red" / "broken.png").write_bytes(b"no picture")
    return root


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYSIGHT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def swept(colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real result: two batch sizes, two processes, 30 calls in each."""
    for module in ("matplotlib", "ai_edge_litert"):
        pytest.importorskip(module)
    from benchmarks.cli import main

    out = tmp_path_factory.mktemp("swept")
    patch = pytest.MonkeyPatch()
    patch.setenv("TINYSIGHT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    arguments = ["--processes", "2", "--runs", "60", "--batches", "1,4", "--data", str(colours)]
    assert main(["sweep", str(TINY), "--out", str(out), "--min-duration", "0", *arguments]) == 0
    patch.undo()
    return out


@pytest.fixture(scope="session")
def benched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `tinysight bench --json` prints: one process, as a device would send it."""
    words = [
        "bench",
        "--bundle",
        str(TINY),
        "--json",
        "--processes",
        "1",
        "--runs",
        "60",
        "--threads",
        "1",
    ]
    command = [sys.executable, "-m", "tinysight", *words, "--batches", "4"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    file = tmp_path_factory.mktemp("benched") / "pi.json"
    file.write_text(done.stdout)
    return file


@pytest.fixture
def measured(swept: Path) -> "SweepResult":
    from benchmarks.sweep.result_io import read

    return read(swept)
