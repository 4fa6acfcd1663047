"""Nothing leaves the device, and nothing is left on it: each command, in an empty home."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinysight.cli.main import COMMANDS
from tinysight.signing.keys import write_key_pair
from tinysight.updates.update import pull

ROOT = Path(__file__).parents[1]
TINY = str(ROOT / "tests" / "tiny" / "bundle")
QUICK = ("--runs", "1", "--threads", "1")

WRITES_ON_PURPOSE = {"tune"}
"""Its device profile: $TINYSIGHT_CACHE, else ~/.cache/tinysight."""

TINYSIGHT: dict[str, tuple[str, ...]] = {
    "classify": ("--bundle", TINY, "picture.png"),
    "bulk": ("picture.png", "--out", "answers", "--bundle", TINY, "--jobs", "1"),
    "stream": ("--bundle", TINY, "video.avi", "--realtime"),
    "info": ("--bundle", TINY),
    "verify": ("--bundle", TINY),
    "keygen": ("fleet",),
    "sign": ("--bundle", "bundle", "--key", "fleet.key"),
    "pull": (TINY, "store"),
    "rollback": ("store",),
    "bench": ("--bundle", TINY, "--processes", "1", "--batches", "1", *QUICK),
    "select": ("--bundle", TINY, "--max-size-kb", "100", *QUICK),
}
STAGES = (
    ("export", "explain", "edge_s"),
    ("export", "build", "--help"),
    ("training", "--help"),
    ("benchmarks", "--help"),
    ("benchmarks", "startup", TINY, "--runs", "1"),
    ("benchmarks", "overhead", TINY, "--runs", "1"),
)

NEEDS = {"stream": "cv2", "export": "onnx", "benchmarks": "jinja2"}


def environment(folder: Path) -> dict[str, str]:
    """Of a process whose home and temporary folder are empty, and that was told nothing else."""
    kept = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
                 "XDG_STATE_HOME"):  # fmt: skip
        (folder / name).mkdir(parents=True)
        env[name] = str(folder / name)
    return {**env, "USERPROFILE": env["HOME"], "TEMP": env["TMPDIR"]}


def run(folder: Path, *words: str) -> list[str]:
    """Runs `python -m …` in an empty home; the files that are there afterwards."""
    env = environment(folder / "homes")
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env={**env, "PYTHONPATH": _import_roots()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return sorted(
        str(path.relative_to(folder)) for path in (folder / "homes").rglob("*") if path.is_file()
    )


def _import_roots() -> str:
    return os.pathsep.join([str(ROOT / "runtime"), str(ROOT)])


def test_every_command_is_tried_here() -> None:
    assert set(TINYSIGHT) == set(COMMANDS) - WRITES_ON_PURPOSE


@pytest.mark.parametrize("command", TINYSIGHT)
def test_a_command_leaves_no_file(command: str, tmp_path: Path) -> None:
    if command == "bulk":
        pytest.importorskip("daft")
    if command == "stream":
        cv2 = pytest.importorskip("cv2")
        codec = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(tmp_path / "video.avi"), codec, 30, (16, 16))
        writer.write(np.zeros((16, 16, 3), np.uint8))
        writer.release()
    if command in ("keygen", "sign"):
        pytest.importorskip("cryptography")
    if command == "sign":
        shutil.copytree(TINY, tmp_path / "bundle")
        write_key_pair(tmp_path / "fleet")
    if command == "rollback":
        pull(TINY, tmp_path / "store")
        pull(str(ROOT / "tests" / "tiny" / "bundle_litert"), tmp_path / "store")
    Image.new("RGB", (20, 12), "red").save(tmp_path / "picture.png")
    assert run(tmp_path, "tinysight", command, *TINYSIGHT[command]) == []


@pytest.mark.parametrize("words", STAGES, ids=" ".join)
def test_a_stage_leaves_no_file(words: tuple[str, ...], tmp_path: Path) -> None:
    """What takes longer, training and `export build` among it, is tried in test_end_to_end.py."""
    if words[0] in NEEDS:
        pytest.importorskip(NEEDS[words[0]])
    assert run(tmp_path, *words) == []


def test_a_plot_leaves_no_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    code = tmp_path / "plot.py"
    code.write_text(
        "from pathlib import Path\n"
        "from training.plots import draw_curves\n"
        "row = dict(loss=1.0, val_loss=1.0, accuracy=0.5, val_accuracy=0.5)\n"
        "draw_curves([row, row], 'title', Path('curves.png'))\n"
    )
    assert run(tmp_path, "plot") == []
    assert (tmp_path / "curves.png").stat().st_size > 1000


@pytest.mark.parametrize(("chosen", "expected"), [(None, "1"), ("0", "0"), ("", "")])
@pytest.mark.parametrize("package", ["tinysight", "export", "benchmarks"])
def test_telemetry_is_off_before_onnxruntime_can_be_imported(
    package: str, chosen: str | None, expected: str, tmp_path: Path
) -> None:
    """Unless the user has set the variable, to whatever it may be."""
    env = {**environment(tmp_path), "PYTHONPATH": _import_roots()}
    if chosen is not None:
        env["ORT_DISABLE_TELEMETRY"] = chosen
    code = (
        f"import {package}, os, sys\n"
        "assert 'onnxruntime' not in sys.modules\n"
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{expected}\n"
