"""The whole line, as `make demo` runs it: train, export, classify, measure."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

for package in (
    "tensorflow",
    "tf2onnx",
    "ai_edge_litert",
    "sklearn",
    "matplotlib",
    "rich",
):
    pytest.importorskip(package)

from benchmarks.cli import main
from benchmarks.sweep.result_io import read
from tinysight import Classifier, load_bundle


def test_the_demo_on_class_folders_of_a_few_hundred_digits(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's own folder of pictures, through every stage, by the commands a user types."""
    from PIL import Image

    from training.data import load_dataset

    monkeypatch.setenv("TINYSIGHT_CACHE", str(tmp_path / "cache"))
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    places = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "KERAS_HOME", "MPLCONFIGDIR")
    for variable in (*places, "ORT_DISABLE_TELEMETRY"):
        monkeypatch.delenv(variable, raising=False)
    digits = load_dataset("digits")
    for part, begin, end in (("train", 0, 400), ("test", 400, 500)):
        for number in range(begin, end):
            folder = tmp_path / "mine" / part / f"number {digits.targets[number]}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(digits.images[number]).save(folder / f"{number}.png")

    out = tmp_path / "demo"
    assert main(["demo", "--data", str(tmp_path / "mine"), "--out", str(out)]) == 0
    assert list(home.rglob("*")) == []  # neither Keras, matplotlib nor onnxruntime left a file

    record = json.loads((out / "run" / "run.json").read_text())
    assert record["result"]["test"]["n"] == 100
    assert record["result"]["test"]["value"] > 0.5  # by chance: 0.1
    bundle = load_bundle(out / "bundle")
    assert bundle.labels == tuple(f"number {digit}" for digit in range(10))
    picture = sorted((out / "pictures").glob("*.png"))[0]
    assert Classifier.load(out / "bundle").classify(picture).label in bundle.labels
    result = read(out / "sweep")
    assert len(result.variants) == len(result.measurements) == 4
    assert {one.accuracy.n for one in result.variants if one.accuracy} == {100}
    printed = capfd.readouterr().out
    for step in ("1. Train", "2. Export", "3. Classify", "4. Measure", "Done in"):
        assert step in printed
    told = re.search(r"Next: (.*tinysight verify .*)", printed)
    assert told is not None
    verified = subprocess.run(shlex.split(told[1]), capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stderr
    assert Path(out / "sweep" / "sweep.png").stat().st_size > 10_000


@pytest.mark.parametrize("stage", ["training", "export", "benchmarks"])
def test_help_needs_no_extra_and_a_missing_one_is_one_line(stage: str, tmp_path: Path) -> None:
    """With every heavy package hidden: --help answers, and work ends in one line with the cure."""
    import sys

    hidden = (
        "numpy onnxruntime tensorflow tf_keras keras sklearn matplotlib rich markdown_it onnx "
        "tf2onnx ai_edge_litert PIL"
    )
    hide = (
        "import sys, importlib.util as u\n"
        f"hidden = set({hidden!r}.split())\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name.split('.')[0] in hidden else find(name, *a)\n"
        f"import {stage}.cli as cli\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    work = {
        "training": ["run", "baseline", "--out", str(tmp_path / "x")],
        "export": ["build", "run", "--out", str(tmp_path / "x")],
        "benchmarks": ["demo", "--out", str(tmp_path / "x")],
    }[stage]
    command = [sys.executable, "-c", hide]
    root = Path(__file__).parents[1]
    helped = subprocess.run(
        [*command, "--help"], cwd=root, capture_output=True, text=True, check=False
    )
    assert helped.returncode == 0
    assert "usage:" in helped.stdout
    failed = subprocess.run(
        [*command, *work], cwd=root, capture_output=True, text=True, check=False
    )
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "pip install -e '.[" in failed.stderr
