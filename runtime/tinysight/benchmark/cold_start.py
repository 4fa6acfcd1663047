"""What a new process needs until it has answered for the first time: time and memory."""

from dataclasses import dataclass
from pathlib import Path

from tinysight.benchmark.isolated_process import run_isolated
from tinysight.bundle import Artifact, Bundle
from tinysight.engines.registry import ENGINES, engine_of
from tinysight.errors import BundleError, TinysightError
from tinysight.records import from_json, parse_json

_SCRIPT = Path(__file__).with_name("cold_start_script.py")


@dataclass(frozen=True, slots=True)
class ColdStartSteps:
    """What the process itself measures on its way to the first answer."""

    import_ms: float
    """Of tinysight, numpy, and the engine."""
    load_ms: float
    """The bundle read and checked, the engine's session made."""
    first_answer_ms: float
    peak_memory_mb: float | None
    """Of the whole process, Python and the engine included; None where the system hides it."""


@dataclass(frozen=True, slots=True)
class ColdStart:
    """A new process on its way to the first answer; milliseconds, and MB of resident memory."""

    process_ms: float
    """Until Python has started; and until its answer has come back."""
    import_ms: float
    load_ms: float
    first_answer_ms: float
    peak_memory_mb: float | None

    def __post_init__(self) -> None:
        parts = (self.process_ms, self.import_ms, self.load_ms, self.first_answer_ms)
        if not all(part >= 0 for part in parts):
            raise ValueError("the parts of a cold start must be 0 ms or more")
        if self.peak_memory_mb is not None and not self.peak_memory_mb > 0:
            raise ValueError("the peak memory of a process must be above 0 MB")

    @property
    def total_ms(self) -> float:
        return self.process_ms + self.import_ms + self.load_ms + self.first_answer_ms


def cold_start(bundle: Bundle, artifact: Artifact, threads: int = 1) -> ColdStart:
    """Starts a process of its own for one answer. Raises BundleError when that process fails."""
    module = ENGINES[engine_of(artifact)].module
    arguments = (str(bundle.folder), artifact.name, module, str(threads))
    try:
        line, total = run_isolated(_SCRIPT, *arguments)
    except TinysightError as error:
        raise BundleError(f"{bundle.name}: {error}") from None
    steps = from_json(ColdStartSteps, parse_json(line.encode()))
    known = steps.import_ms + steps.load_ms + steps.first_answer_ms
    return ColdStart(
        max(0.0, total - known),
        steps.import_ms,
        steps.load_ms,
        steps.first_answer_ms,
        steps.peak_memory_mb,
    )
