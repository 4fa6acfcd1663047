"""The result of `python -m benchmarks gpu`, as it is kept and as it is read by people."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from benchmarks.gpu.cards import peak_flops
from benchmarks.gpu.self_check import SelfCheck
from benchmarks.gpu.trainings import TrainedRun
from tinysight.errors import TinysightError
from tinysight.files import write_bytes
from tinysight.provenance import TrainingDevice
from tinysight.records import RecordError, from_json, load_json, to_json

FORMAT: Final = 1
FILE = "gpu.json"
_MAX_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class FinishedStep:
    """Trainings that need not be done again."""

    name: str
    runs: tuple[TrainedRun, ...]


@dataclass(frozen=True, slots=True)
class GpuResult:
    """What is known so far: the self-check, and the trainings that are finished."""

    format: Literal[1]
    date: str
    """Of the self-check, ISO 8601."""
    device: TrainingDevice
    data: str
    """Title of the images that are trained on."""
    self_check: SelfCheck
    finished: tuple[FinishedStep, ...]


def folder_name(gpus: Sequence[str]) -> str:
    """A folder's name for these cards: `nvidia-l4`, `2x-nvidia-l4`; `cpu` for none."""
    if not gpus:
        return "cpu"
    name = re.sub(r"[^a-z0-9]+", "-", gpus[0].lower()).strip("-")
    return name if len(gpus) == 1 else f"{len(gpus)}x-{name}"


def write(result: GpuResult, out: Path) -> None:
    """Writes gpu.json and report.md; `out` exists."""
    text = json.dumps(to_json(result), indent=1, ensure_ascii=False) + "\n"
    write_bytes(out / FILE, text.encode())
    write_bytes(out / "report.md", ("\n".join(_lines(result)) + "\n").encode())


def read(out: Path) -> GpuResult | None:
    """The result in a folder; None where it has none. Raises TinysightError for a damaged one."""
    file = out / FILE
    try:
        return from_json(GpuResult, load_json(file, _MAX_BYTES))
    except FileNotFoundError:
        return None
    except RecordError as error:
        raise TinysightError(f"{file}: {error}") from None


def _lines(result: GpuResult) -> Iterator[str]:
    device, check = result.device, result.self_check
    peak = peak_flops(device.gpus)
    known = "unknown" if peak is None else f"{peak / 1e12:,.0f} TFLOP/s in half precision"
    yield from (
        f"# Training on {', '.join(device.gpus) or device.cpu}",
        "",
        f"{result.date}. Host: {device.cpu}. Peak of the cards: {known}. Data: {result.data}.",
        "",
        "| training | precision | batch | epochs | seconds | images/s | of peak | validation "
        "| test accuracy |",
        "|:--|:--|--:|--:|--:|--:|--:|--:|--:|",
        *(_row(run) for step in result.finished for run in step.runs),
        "",
        "Images/s: of the median epoch after the first, with validation and checkpoint; of the "
        "head alone where the base is frozen. Of peak: 6 operations for each multiply-accumulate "
        "of the model.",
        "",
        "## Self-check",
        "",
        *([f"- **Wrong:** {problem}" for problem in check.problems] or ["Nothing is wrong."]),
        "",
        f"{check.different_pixels:,} of {check.pixels:,} augmented pixels differ from the "
        f"pipeline's. Memory at its peak: {_memory(check.peak_memory_bytes)}. "
        f"Took {check.seconds:.0f} s.",
        "",
        f"| loss after three steps | CPU, float32 | here, float32 | here, {check.precision} |",
        "|:--|--:|--:|--:|",
        *(
            f"| {one.what} | {one.cpu_float32:.5f} | {one.device_float32:.5f} | {one.device:.5f} |"
            for one in check.steps
        ),
        "",
        "| images | pipeline, images/s | on the device, images/s |",
        "|:--|--:|--:|",
        *(
            f"| {one.what} | {one.images / one.pipeline_s:,.0f} "
            f"| {one.images / one.on_device_s:,.0f} |"
            for one in check.inputs
        ),
        "",
        *_xla_lines(check),
        "",
        "| step | batch | plain, ms | compiled by XLA, ms | ratio | compiling, s "
        "| difference of the loss |",
        "|:--|--:|--:|--:|--:|--:|--:|",
        *(
            f"| {one.what} | {one.batch_size} | {one.plain_s * 1e3:.1f} "
            f"| {one.compiled_s * 1e3:.1f} | {one.ratio:.2f} | {one.compiling_s:.1f} "
            f"| {one.difference:.1g} |"
            for one in check.compiled
        ),
    )


def _xla_lines(check: SelfCheck) -> Iterator[str]:
    if check.xla_error is not None:
        yield f"XLA does not work here ({check.xla_error}): every step is the plain one."
    default = "a GPU's default" if len(check.gpus) == 1 else "not the default here"
    for one in check.compiled:
        quicker = "--xla" if one.ratio < 1 else "--no-xla"
        yield (
            f"`{quicker}` is quicker here: {one.what}'s step compiled by XLA, {default}, takes "
            f"{one.ratio:.2f} of the plain one's time."
        )


def _row(run: TrainedRun) -> str:
    share = "peak unknown" if run.peak_share is None else f"{run.peak_share:.1%}"
    cells = (
        run.name,
        run.precision,
        str(run.batch_size),
        str(run.epochs),
        f"{run.seconds:,.0f}",
        f"{run.images_per_s:,.0f}",
        share,
        f"{run.validation.value:.2%}",
        "none" if run.test is None else str(run.test),
    )
    return f"| {' | '.join(cells)} |"


def _memory(count: int | None) -> str:
    return "not counted" if count is None else f"{count / 2**20:,.0f} MiB"
