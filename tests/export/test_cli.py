"""The command line as a user starts it: help without the heavy packages, mistakes in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from export.api import bundle_name
from export.cli import main, parser
from export.recipes import RECIPES
from tinysight.errors import TinysightError

ROOT = Path(__file__).parents[2]
HEAVY = (
    "tensorflow",
    "tf_keras",
    "onnx",
    "tf2onnx",
    "onnxruntime",
    "sklearn",
    "ai_edge_litert",
    "tflite_micro",
)


def export(*words: str, without: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Runs `python -m export`, as if the packages `without` were not installed."""
    script = (
        "import runpy, sys\n"
        f"sys.modules.update(dict.fromkeys({without!r}))\n"
        f"sys.argv = ['export', *{words!r}]\n"
        "runpy.run_module('export', run_name='__main__')\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--help",), ("build", "explain", "mcu")),
        (("build", "--help"), ("--overwrite", "--max-accuracy-drop", "static_w8a8")),
        (("explain", "--help"), ("--json", "--runs")),
        (("mcu", "--help"), ("--artifact", "--overwrite")),
    ],
)
def test_help_needs_no_heavy_package(words: tuple[str, ...], expected: tuple[str, ...]) -> None:
    done = export(*words, without=HEAVY)
    assert done.returncode == 0, done.stderr
    for word in expected:
        assert word in done.stdout
    assert done.stderr == ""


def test_help_names_every_recipe() -> None:
    lines = export("build", "--help", without=HEAVY).stdout.splitlines()
    for name, recipe in RECIPES.items():
        words = f"{name} *" if recipe.finetuning else name
        assert any(line.split() == [*words.split(), *recipe.summary.split()] for line in lines)


def test_all_names_every_recipe() -> None:
    args = parser().parse_args(["build", "run", "--out", "b", "--recipes", "all"])
    assert args.recipes == tuple(RECIPES)


@pytest.mark.parametrize("epochs", ["0", "-1", "nan", "inf"])
def test_fine_tuning_epochs_without_sense_are_a_usage_error(
    epochs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(["build", "run", "--out", "b", "--finetune-epochs", epochs])
    assert caught.value.code == 2
    assert "must be above 0" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["tensorflow", "tf2onnx", "ai_edge_litert"])
def test_a_missing_extra_is_one_line_that_says_what_to_do(package: str, tmp_path: Path) -> None:
    done = export("build", "run", "--out", str(tmp_path / "b"), without=(package,))
    assert done.returncode == 1
    assert package in done.stderr
    assert "pip install -e '.[export]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_without_tflite_micro_firmware_is_one_line(tmp_path: Path) -> None:
    done = export("mcu", "edge_s", "--out", str(tmp_path / "firmware"), without=("tflite_micro",))
    assert done.returncode == 1
    assert "pip install -e '.[mcu]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_unknown_recipe_reaches_the_shell_as_a_usage_error(tmp_path: Path) -> None:
    done = export(
        "build", "run", "--out", str(tmp_path / "b"), "--recipes", "float32,int4", without=HEAVY
    )
    assert done.returncode == 2
    assert "unknown: int4; known are float32, float16, dynamic_w8, static_w8a8" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [[], ["buidl"], ["explain", "--runs", "0"]])
def test_a_wrong_command_is_a_usage_error(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(words)
    assert caught.value.code == 2
    assert "usage: python -m export" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    pytest.importorskip("tf2onnx")
    done = export("build", str(tmp_path), "--out", str(tmp_path / "b"))
    assert done.returncode == 1
    assert "not a run folder" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "name"), [("CIFAR 10 (v2)", "cifar_10__v2"), ("a.b-c_d", "a.b-c_d"), ("Über", "ber")]
)
def test_a_bundles_name_is_made_of_plain_letters(text: str, name: str) -> None:
    assert bundle_name(text) == name


def test_a_name_without_letters_is_refused() -> None:
    with pytest.raises(TinysightError, match="letters and digits"):
        bundle_name("...")


def test_a_name_has_64_characters_at_most() -> None:
    assert bundle_name("a" * 64 + "_") == "a" * 64
    with pytest.raises(TinysightError, match="65 characters, allowed are 64; --name"):
        bundle_name("a" * 65)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--formats", "tflite"), "onnx is needed too"),
        (
            ("--recipes", "float32,mixed_measured", "--max-accuracy-drop", "1"),
            "not allowed with the recipe mixed_measured",
        ),
    ],
)
def test_what_cannot_be_combined_is_a_usage_error(
    words: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["build", "run", "--out", "b", *words])
    assert caught.value.code == 2
    assert expected in capsys.readouterr().err
