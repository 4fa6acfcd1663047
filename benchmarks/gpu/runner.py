"""Self-check and trainings, in order; what is finished is not done again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from benchmarks.gpu.report import FORMAT, FinishedStep, GpuResult, read, write
from benchmarks.gpu.self_check import SelfCheck, self_check
from benchmarks.gpu.trainings import TRAININGS, TrainedRun, Work
from tinysight.errors import TinysightError
from training.environment import describe_device
from training.tf_keras_setup import keras


def run_steps(
    work: Work,
    steps: Sequence[str],
    *,
    check: Callable[[Callable[[str], None]], SelfCheck] = self_check,
    trainings: Mapping[str, Callable[[Work], list[TrainedRun]]] = TRAININGS,
) -> GpuResult:
    """Checks, then trains; gpu.json and report.md in `work.out` are renewed after each step.

    Killed at any time and called again, it goes on: a step that is finished is skipped, and a
    training continues after its last finished epoch.

    Args:
        work: what the trainings need.
        steps: keys of `trainings` that are wanted; the self-check always is.
        check: the self-check.
        trainings: all there are.

    Raises TinysightError where the folder holds the result of another device or of other data.
    """
    work.out.mkdir(parents=True, exist_ok=True)
    result = read(work.out)
    device, data = describe_device(), work.dataset.title
    if result is None:
        result = GpuResult(
            format=FORMAT,
            date=datetime.now(UTC).date().isoformat(),
            device=device,
            data=data,
            self_check=check(work.console.print),
            finished=(),
        )
        write(result, work.out)
    elif result.device.gpus != device.gpus or result.data != data:
        raise TinysightError(f"{work.out} is of other devices or data: choose another --out")
    for problem in result.self_check.problems:
        work.console.print(f"Wrong: {problem}.")
    for name in steps:
        if any(step.name == name for step in result.finished):
            continue
        runs = tuple(trainings[name](work))
        keras.backend.clear_session()  # else the graphs of all trainings are kept
        result = replace(result, finished=(*result.finished, FinishedStep(name, runs)))
        write(result, work.out)
    return result
