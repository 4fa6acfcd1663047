"""The record of a run that never was, for tests that need no training."""

from tinysight.bundle import Abstention
from tinysight.provenance import (
    ConfidenceRecord,
    IndexSet,
    TeacherRecord,
    ThresholdPoint,
    TrainingDevice,
    TrainingSeconds,
)
from tinysight.records import to_json
from tinysight.stats import Accuracy
from training.recipes import RECIPES
from training.run_folder import RunData, RunRecord, RunResult, RunSplits

HASH = "0123456789abcdef" * 4


def sample_result(seconds: float = 60.0) -> RunResult:
    return RunResult(
        finished="2026-01-01T00:01:00+00:00",
        parameters=83_030,
        trainable_parameters=83_030,
        seconds=TrainingSeconds(seconds, 30.0),
        validation=Accuracy(70, 100),
        test=Accuracy(240, 360),
        temperature=1.2,
        abstention=Abstention(3.7, "a rule", 0.95, 0.72),
        curve=(ThresholdPoint(0.0, 1.0, 0.7),),
        confidence=ConfidenceRecord(360, 15, 0.1, 0.02, 0.94, 0.71),
        device=TrainingDevice(
            system="Linux",
            cpu="a CPU",
            cores=2,
            features=("avx2",),
            governor=None,
            memory_mb=None,
            python="3.11",
            gpus=(),
            precision="float32",
        ),
        versions={"python": "3.11"},
    )


def sample_record(result: RunResult | None = None) -> RunRecord:
    part = IndexSet(100, HASH)
    data = RunData(
        name="digits",
        title="digits",
        source="digits",
        fingerprint=HASH,
        attribution="somebody",
        labels=("0", "1"),
        shape=(32, 32, 3),
        notes=("a note",),
        splits=RunSplits(part, part, part),
    )
    teacher = TeacherRecord(
        HASH, "teacher", "airbench", to_json(RECIPES["airbench"]), Accuracy(300, 360), 100.0
    )
    return RunRecord(RECIPES["baseline"], data, "2026-01-01T00:00:00+00:00", (teacher,), result)
