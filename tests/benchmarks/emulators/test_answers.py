"""Bundles on emulated CPUs: the real engines run, and what they answer is compared."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from benchmarks.cli import main
from benchmarks.emulators.answers import answer_on, compare_images
from benchmarks.emulators.cpus import CPUS, EmulatorError, missing
from benchmarks.emulators.images import images_to_classify
from benchmarks.emulators.markdown import as_markdown, verdict
from benchmarks.emulators.records import (
    FILE,
    RESULTS,
    Cell,
    EmulatorsResult,
    ImageCheck,
    as_text,
    proven_on,
    read,
)
from tests.training.recorded_progress import RecordedProgress
from tinysight import load_bundle
from tinysight.bundle import shipped_bundles
from tinysight.device.info import describe
from tinysight.errors import TinysightError
from tinysight.integrity import golden
from tinysight.integrity.golden import Comparison

TINY = Path(__file__).parents[2] / "tiny" / "bundle_litert"
"""With an artifact for each engine."""


def require(cpu: str) -> None:
    reason = missing(CPUS[cpu])
    if reason is not None:
        pytest.skip(reason)


def make_result(*cells: Cell) -> EmulatorsResult:
    return EmulatorsResult(
        1, "2026-01-01", "0.1", {"numpy": "2"}, "7.2", describe(), "4 images", {}, cells
    )


def make_cell(**changes: object) -> Cell:
    """A CPU that answers as the workstation, but for the changes."""
    artifact = load_bundle(TINY).artifact()
    good = Cell(
        cpu="Haswell",
        bundle="tiny",
        artifact=artifact.name,
        sha256=artifact.sha256,
        engine="onnxruntime",
        golden=Comparison(8, 8, 0.001, 0.05, 0),
        images=ImageCheck(4, 0.0, 1.0, 0, ()),
    )
    return replace(good, **changes)  # type: ignore[arg-type]  # each has its field's type


@pytest.mark.parametrize("cpu", ["Haswell", "cortex-a72"])
def test_both_engines_answer_on_an_emulated_cpu(
    cpu: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require(cpu)
    words = [str(TINY), "--images", "3", "--cpus", cpu, "--out", str(tmp_path), "--json"]
    assert main(["emulators", *words]) == 0
    printed = json.loads(capsys.readouterr().out)
    result = read(tmp_path)
    assert result is not None
    assert json.loads(as_text(result)) == printed
    assert result.images == "3 parts of two photographs"
    assert [(cell.engine, cell.cpu) for cell in result.cells] == [
        ("onnxruntime", cpu),
        ("litert", cpu),
    ]
    for cell in result.cells:
        assert cell.images is not None
        assert cell.images.same_top1 == cell.images.images == 3
        assert cell.golden is not None
        assert cell.golden.same_top1 == cell.golden.inputs
    assert {"numpy", "onnxruntime", "ai-edge-litert"} == set(result.versions)
    bundle = load_bundle(TINY)
    assert proven_on(result, bundle) == {artifact.name: (cpu,) for artifact in bundle.artifacts}
    page = (tmp_path / FILE).with_suffix(".md").read_text(encoding="utf-8")
    assert page.count(f"| {cpu} (") == 2
    assert str(tmp_path) in page  # in the command that makes it again


def test_a_process_that_fails_there_is_one_line() -> None:
    require("Haswell")
    bundle = load_bundle(TINY)
    pictures = golden.noise(*bundle.shape, 2)[:, :1]  # of another height
    with pytest.raises(EmulatorError, match=r"Haswell: .+") as raised:
        answer_on(CPUS["Haswell"], bundle, bundle.artifact(), pictures)
    assert "\n" not in str(raised.value)


def test_differences_are_those_of_the_logits() -> None:
    expected = np.array([[0, 4, 1], [3, 2, 0], [0, 0, 2]], np.float32)
    logits = expected.copy()
    logits[1] = [2, 2.5, 0]
    check = compare_images(logits, expected, ("a", "b", "c"))
    assert (check.images, check.same_top1, check.changed) == (3, 2, 1)
    assert (check.max_difference, check.spread) == (1.0, 4.0)
    (one,) = check.disagreements
    assert (one.image, one.workstation, one.emulated, one.margin) == (1, "a", "b", 1.0)
    page = as_markdown(make_result(make_cell(images=check)), "a command")
    assert "image 1 is b, on the workstation a, whose logit leads by 1.000" in page
    assert "| 2 of 3 |" in page


def test_a_cpu_counts_for_the_very_artifact_that_it_answered_for() -> None:
    bundle = load_bundle(TINY)
    other = check = compare_images(
        np.array([[0, 1]], np.float32), np.array([[1, 0]], np.float32), ("a", "b")
    )
    cells = (
        make_cell(),
        make_cell(cpu="Nehalem", golden=None),
        make_cell(cpu="cortex-a53", images=None, golden=None, error="it died"),
        make_cell(cpu="cortex-a72", images=other),
        make_cell(cpu="cortex-a76", golden=Comparison(8, 8, 0.06, 0.05, 0)),
        make_cell(cpu="Skylake-Client", sha256="0" * 64),
    )
    assert check.same_top1 == 0
    result = make_result(*cells)
    assert proven_on(result, bundle) == {bundle.default: ("Haswell", "Nehalem")}
    assert not result.ok
    assert verdict(result).startswith("3 of 6 artifacts on 6 emulated CPUs")
    page = as_markdown(result, "a command")
    assert "| FAIL | FAIL | it died |" in page
    assert "| FAIL 0.06 of 0.05 |" in page


def test_a_cell_has_answers_or_an_error() -> None:
    with pytest.raises(ValueError, match="an error"):
        make_cell(error="it died")
    with pytest.raises(ValueError, match="an error"):
        make_cell(images=None)


def test_without_data_parts_of_photographs_are_classified() -> None:
    bundle = load_bundle(TINY)
    images, again = (images_to_classify(bundle, None, 5, RecordedProgress().count) for _ in "ab")
    assert images.shape == (5, *bundle.shape, 3)
    assert np.array_equal(images, again)
    assert len({image.tobytes() for image in images}) == 5


def test_what_cannot_be_emulated_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["emulators", str(TINY), "--cpus", "Z80"]) == 1
    assert capsys.readouterr().err.startswith("benchmarks: unknown CPU 'Z80'; there are cortex-a53")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["emulators", str(TINY)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "is not installed: make emulators" in line


def test_a_damaged_result_is_one_line(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    (tmp_path / FILE).write_text(as_text(make_result()).replace('"cells"', '"tables"'))
    with pytest.raises(TinysightError, match="unknown key 'tables'"):
        read(tmp_path)


def test_every_shipped_artifact_is_proven_on_every_cpu() -> None:
    """The committed result is of these very files: `python -m benchmarks emulators --out …`."""
    result = read(RESULTS)
    assert result is not None
    for name in shipped_bundles():
        bundle = load_bundle(name)
        assert proven_on(result, bundle) == {
            artifact.name: tuple(CPUS) for artifact in bundle.artifacts
        }


def test_a_damaged_bundle_is_refused_before_anything_is_emulated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require("Nehalem")
    folder = tmp_path / "bundle"
    shutil.copytree(TINY, folder)
    (folder / "float32.tflite").write_bytes(b"")
    assert main(["emulators", str(folder), "--cpus", "Nehalem"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "float32.tflite" in line
