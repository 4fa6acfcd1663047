"""What a fresh process needs until it has answered for the first time: time and memory."""

import json
from dataclasses import dataclass

from tinysight.benchmark.isolated_process import run_isolated
from tinysight.bundle import Artifact, Bundle
from tinysight.engines.registry import engine_of
from tinysight.errors import BundleError, TinysightError

_ENGINE_MODULES = {"onnxruntime": "onnxruntime", "litert": "ai_edge_litert.interpreter"}
"""What a process imports for an engine."""


@dataclass(frozen=True, slots=True)
class ColdStart:
    """A fresh process on its way to the first answer; milliseconds, and MB of resident memory."""

    process_ms: float
    """Until Python has started; and until its answer has come back."""
    import_ms: float
    """Of tinysight, numpy, and the engine."""
    load_ms: float
    """The bundle read and checked, the engine's session made."""
    first_answer_ms: float
    peak_memory_mb: float | None
    """Of the whole process, Python and the engine included; None where the system hides it."""

    def __post_init__(self) -> None:
        parts = (self.process_ms, self.import_ms, self.load_ms, self.first_answer_ms)
        if not all(part >= 0 for part in parts):
            raise ValueError("no part of a cold start takes less than no time")
        if self.peak_memory_mb is not None and not self.peak_memory_mb > 0:
            raise ValueError("a process has some memory")

    @property
    def total_ms(self) -> float:
        return self.process_ms + self.import_ms + self.load_ms + self.first_answer_ms


def cold_start(bundle: Bundle, artifact: Artifact, threads: int = 1) -> ColdStart:
    """Starts a process of its own for one answer. Raises BundleError when that process fails."""
    module = _ENGINE_MODULES[engine_of(artifact)]
    arguments = (str(bundle.folder), artifact.name, module, str(threads))
    try:
        line, total = run_isolated("cold_start_script.py", *arguments)
    except TinysightError as error:
        raise BundleError(f"{bundle.name}: {error}") from None
    parts = json.loads(line)
    known = parts["import_ms"] + parts["load_ms"] + parts["first_answer_ms"]
    return ColdStart(process_ms=max(0.0, total - known), **parts)
