"""The tiny bundle, copies of it that a test may spoil, and pictures of one colour."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from tinysight import Classifier

# No deadline: how long an example takes says more of the machine than of the code.
settings.register_profile("tinysight", deadline=None)
settings.load_profile("tinysight")

COLOURS = {"red": (200, 10, 10), "green": (10, 200, 10), "blue": (10, 10, 200)}


@pytest.fixture(scope="session")
def tiny() -> Path:
    """The bundle that `tests/tiny/generate.py` wrote; read-only by agreement."""
    return Path(__file__).parents[1] / "tiny" / "bundle"


@pytest.fixture(scope="session")
def classifier(tiny: Path) -> Classifier:
    return Classifier.load(tiny)


@pytest.fixture(scope="session")
def benched(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `tinysight bench --json` prints of the tiny bundle, of two processes."""
    arguments = ["--json", "--processes", "2", "--runs", "60", "--threads", "1", "--batches", "2"]
    words = [sys.executable, "-m", "tinysight", "bench", "--bundle", str(tiny), *arguments]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    file = tmp_path_factory.mktemp("benched") / "bench.json"
    file.write_text(done.stdout)
    return file


@pytest.fixture
def spoilt(tiny: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copies the tiny bundle with entries of bundle.json changed, or of its artifact."""

    def copy(artifact: dict[str, Any] | None = None, **changes: Any) -> Path:
        folder = tmp_path / "spoilt"
        shutil.copytree(tiny, folder, dirs_exist_ok=True)
        content = json.loads((tiny / "bundle.json").read_text())
        content["artifacts"][0].update(artifact or {})
        content.update(changes)
        (folder / "bundle.json").write_text(json.dumps(content))
        return folder

    return copy


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with red.png, green.bmp and sub/blue.png, of sizes that are not the model's."""
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    Image.new("RGB", (20, 12), COLOURS["red"]).save(folder / "red.png")
    Image.new("RGB", (8, 30), COLOURS["green"]).save(folder / "green.bmp")
    Image.new("RGB", (9, 9), COLOURS["blue"]).save(folder / "sub" / "blue.png")
    return folder


@pytest.fixture(scope="session")
def noise() -> np.ndarray:
    """120 images, uint8 (120, 8, 8, 3), whose answers differ."""
    return np.random.default_rng(7).integers(0, 256, (120, 8, 8, 3), dtype=np.uint8)
