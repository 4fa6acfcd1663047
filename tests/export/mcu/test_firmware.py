"""`python -m export mcu`: the files, compiled and run where a C++ compiler is installed."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")
pytest.importorskip("tflite_micro", reason="tflite-micro is not installed (extra mcu)")

from export.cli import main
from export.mcu.firmware import resolver_method
from tests.export.mcu import tflm_interface
from tinysight.bundle import Bundle
from tinysight.integrity import golden

CXX = shutil.which("g++") or shutil.which("clang++")
needs_compiler = pytest.mark.skipif(CXX is None, reason="no C++ compiler is installed")
WARNINGS = ("-std=c++17", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror")
FILES = {"README.md", "example.h", "main.cc", "model.cc", "model.h", "model.tflite", "operators.h"}


@pytest.fixture(scope="module")
def firmware(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("firmware") / "out"
    assert main(["mcu", str(bundle.folder), "--out", str(out)]) == 0
    return out


def compile_and_run(*words: str, folder: Path) -> bytes:
    assert CXX is not None
    subprocess.run([CXX, *WARNINGS, "-o", "program", *words], cwd=folder, check=True)
    return subprocess.run([folder / "program"], cwd=folder, capture_output=True, check=True).stdout


def test_it_writes_these_files(firmware: Path) -> None:
    assert {file.name for file in firmware.iterdir()} == FILES
    readme = (firmware / "README.md").read_text()
    assert "$" not in readme.replace("${COMPONENT_LIB}", "")
    assert "CONV_2D, FULLY_CONNECTED, MEAN" in readme


@needs_compiler
def test_the_compiled_array_is_the_file(firmware: Path, bundle: Bundle, tmp_path: Path) -> None:
    harness = tmp_path / "harness.cc"
    harness.write_text(
        '#include <cstdio>\n#include "model.h"\n'
        "using namespace tinysight;\n"
        "int main() {\n"
        "  if (reinterpret_cast<size_t>(kModel) % 16) return 1;\n"
        "  for (const char* label : kLabels) std::puts(label);\n"
        "  std::fwrite(kModel, 1, kModelBytes, stdout);\n"
        "}\n"
    )
    sources = (str(harness), f"-I{firmware}", str(firmware / "model.cc"))
    written = compile_and_run(*sources, folder=tmp_path)
    labels = "".join(f"{label}\n" for label in bundle.labels).encode()
    assert written == labels + (firmware / "model.tflite").read_bytes()


@needs_compiler
def test_main_feeds_shifted_pixels_and_prints_the_label(
    firmware: Path, bundle: Bundle, tmp_path: Path
) -> None:
    answers = [0, 1, 2, 3, 60, 5, 6, 7, 8, -128]
    tflm_interface.write(tmp_path, input_bytes=32 * 32 * 3, answers=answers, operators=3)
    sources = [str(firmware / name) for name in ("main.cc", "model.cc")]
    lines = compile_and_run(*sources, f"-I{tmp_path}", folder=tmp_path).decode().splitlines()
    assert lines[1].startswith(f"{bundle.labels[4]}, ")
    seen = np.frombuffer((tmp_path / "seen.bin").read_bytes(), np.int8).astype(int)
    pixels = golden.noise(32, 32, 3)[2].ravel().astype(int)
    np.testing.assert_array_equal(seen, pixels - 128)


def test_the_figures_as_json(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "firmware"
    assert main(["mcu", str(bundle.folder), "--out", str(out), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["flash_bytes"] == (out / "model.tflite").stat().st_size
    assert figures["arena_bytes"] % 16 == 0
    assert figures["golden"]["same_top1"] == figures["golden"]["inputs"] == 32


def test_an_existing_folder_is_kept_unless_told_otherwise(
    firmware: Path, bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["mcu", str(bundle.folder), "--out"]
    assert main([*words, str(firmware)]) == 1
    assert "--overwrite replaces it" in capsys.readouterr().err
    (tmp_path / "thesis.txt").write_text("mine")
    for options in ([], ["--overwrite"]):
        assert main([*words, str(tmp_path), *options]) == 1
        error = capsys.readouterr().err
        assert error == f"export: {tmp_path} is not a firmware folder; it is not replaced\n"
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    assert main([*words, str(firmware), "--overwrite"]) == 0


def test_a_float_artifact_is_one_line(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "firmware"
    words = ["mcu", str(bundle.folder), "--artifact", "float32.tflite", "--out", str(out)]
    assert main(words) == 1
    error = capsys.readouterr().err
    assert "stack/float32.tflite: its input is not quantized to int8" in error
    assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("operator", "method"),
    [
        ("CONV_2D", "AddConv2D"),
        ("DEPTHWISE_CONV_2D", "AddDepthwiseConv2D"),
        ("FULLY_CONNECTED", "AddFullyConnected"),
        ("ADD", "AddAdd"),
        ("MAX_POOL_2D", "AddMaxPool2D"),
        ("MEAN", "AddMean"),
    ],
)
def test_the_resolvers_methods(operator: str, method: str) -> None:
    assert resolver_method(operator) == method
