"""Plots of data whose class names are in other scripts, or look like formulas."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.plots import draw_confusion

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from training.plots import draw_confusion
truth = np.array([0, 1, 1])
draw_confusion(truth, truth, ("\u732b", "\u0e2b\u0e21\u0e32"), "\u52d5\u7269", Path(sys.argv[1]))
"""


def test_class_names_of_other_scripts_warn_of_nothing(tmp_path: Path) -> None:
    file = tmp_path / "confusion.png"
    words = [sys.executable, "-W", "default::UserWarning", "-c", SCRIPT, str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "Glyph" not in done.stderr
    with Image.open(file) as picture:
        assert min(picture.size) > 100


@pytest.mark.parametrize("name", ["$10_to_$20", "$5 to $10", "a_b^c", "100%"])
def test_a_class_may_have_any_name(name: str, tmp_path: Path) -> None:
    file = tmp_path / "confusion.png"
    truth = np.array([0, 1, 1])
    draw_confusion(truth, truth, (name, "b"), f"edge_m on {name}", file)
    with Image.open(file) as picture:
        assert min(picture.size) > 100
