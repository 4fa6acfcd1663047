"""`python -m benchmarks gpu`: the self-check is right on a CPU, and what is finished stays so."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("rich")

from benchmarks.cli import main
from benchmarks.commands.gpu import STEPS
from benchmarks.gpu.cards import peak_flops
from benchmarks.gpu.report import folder_name, read
from benchmarks.gpu.runner import run_steps
from benchmarks.gpu.self_check import self_check
from benchmarks.gpu.trainings import TRAININGS, TrainedRun, Work
from tinysight.errors import TinysightError
from training.console import TrainingConsole
from training.data import load_dataset
from training.gpu import GpuReport
from training.recipes import Recipe, recipe_of
from training.train import Job, train

Trainings = dict[str, Callable[[Work], list[TrainedRun]]]

TINY_CHECK = partial(
    self_check,
    cases={"baseline": recipe_of("baseline"), "muon": recipe_of("16s2-16")},
    compiled_cases={"muon": recipe_of("16s2-16")},
    input_models=(),
    images=64,
    batch_size=8,
    runs=1,
)


def _tiny(work: Work, name: str) -> list[TrainedRun]:
    recipe = Recipe("baseline", epochs=2, batch_size=256)
    run = train(Job(recipe, work.dataset, work.runs / name, if_exists="resume"), work.console)
    assert run is not None
    return [TrainedRun.of(name, run)]


def test_check_trainings_and_report_go_on_after_a_stop(tmp_path: Path) -> None:
    work = Work(load_dataset("digits"), tmp_path / "r", tmp_path / "out", None, TrainingConsole())

    def stopped(work: Work) -> list[TrainedRun]:
        raise KeyboardInterrupt

    trainings: Trainings = {"first": partial(_tiny, name="first"), "second": stopped}
    with pytest.raises(KeyboardInterrupt):
        run_steps(work, ["first", "second"], check=TINY_CHECK, trainings=trainings)
    kept = read(work.out)
    assert kept is not None
    check = kept.self_check
    assert check.problems == ()
    assert check.gpus == ()
    assert check.pixels == 512 * 32 * 32 * 3
    for step in check.steps:
        assert step.device_float32 == pytest.approx(step.cpu_float32, rel=1e-5)
        assert step.cpu_float32 > 0
    assert [one.what for one in check.inputs] == ["input alone"]
    assert [one.what for one in check.compiled] == ["muon"]
    assert check.xla_error is None
    assert [step.name for step in kept.finished] == ["first"]

    # What is finished would raise here.
    trainings = {"first": stopped, "second": partial(_tiny, name="second")}
    result = run_steps(work, ["first", "second"], check=TINY_CHECK, trainings=trainings)
    assert result.self_check == check
    [run] = result.finished[1].runs
    assert run.images_per_s > 0
    assert run.peak_share is None
    report = (work.out / "report.md").read_text()
    assert "Nothing is wrong." in report
    assert "XLA, not the default here, takes" in report
    assert "Peak of the cards: unknown." in report
    assert f"| second | float32 | 256 | 2 | {run.seconds:,.0f} |" in report
    with pytest.raises(TinysightError, match="other devices or data"):
        run_steps(replace(work, dataset=replace(work.dataset, title="others")), [])


def test_a_wrong_device_is_told(tmp_path: Path) -> None:
    check = self_check(
        lambda line: None,
        cases={"baseline": recipe_of("baseline")},
        compiled_cases={},
        input_models=(),
        images=8,
        batch_size=8,
        runs=1,
    )
    assert check.problems == ()
    [step] = check.steps
    bad = replace(step, device_float32=step.cpu_float32 * 1.01)
    [problem] = replace(check, steps=(bad,)).problems
    assert problem.startswith("baseline in float32: loss ")
    [problem] = replace(check, steps=(replace(step, device=float("nan")),)).problems
    assert "loss nan" in problem
    assert len(replace(check, different_pixels=3, missing_kernel="no Mul").problems) == 2


def test_without_a_card_one_line_tells_the_cure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def report(driver: bool) -> GpuReport:
        return GpuReport(names=(), driver=driver, visible=None, cuda_wheels=False)

    for driver, cure in ((False, "make gpu sets everything up"), (True, "'.[train-gpu]'")):
        monkeypatch.setattr(GpuReport, "of_this_machine", partial(report, driver))
        assert main(["gpu", "--out", str(tmp_path / "out")]) == 1
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("benchmarks: no GPU to measure: ")
        assert cure in line
        assert "on the CPU (" not in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("cards", "tflops"),
    [
        (["NVIDIA A100-SXM4-80GB"], 312),
        (["NVIDIA A10"], 125),
        (["NVIDIA A10G"], None),
        (["Tesla T4", "Tesla T4"], 130),
        (["NVIDIA L4", "of another maker"], None),
        (["NVIDIA GeForce RTX 4090 Laptop GPU"], None),
        (["NVIDIA GeForce RTX 5090"], None),
        (["NVIDIA H100 NVL"], None),
        (["NVIDIA H100 80GB HBM3"], 989.5),
        ([], None),
    ],
)
def test_peaks_by_name(cards: list[str], tflops: float | None) -> None:
    assert peak_flops(cards) == (None if tflops is None else pytest.approx(tflops * 1e12))


def test_every_training_is_a_step_of_the_command() -> None:
    assert ("self-check", *TRAININGS) == STEPS


def test_a_folder_is_named_by_its_cards() -> None:
    assert folder_name(["NVIDIA GeForce RTX 4090"]) == "nvidia-geforce-rtx-4090"
    assert folder_name(["NVIDIA L4"] * 2) == "2x-nvidia-l4"
