"""Interleaved timing, percentiles only where samples carry them, and cold starts."""

import dataclasses
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tinysight import BundleError, load_bundle
from tinysight.benchmark.accuracy import correct_answers
from tinysight.benchmark.cold_start import ColdStart, cold_start
from tinysight.benchmark.timing import Latency, time_interleaved
from tinysight.bundle import Golden
from tinysight.engines.registry import installed, open_engine
from tinysight.integrity.golden import compare
from tinysight.records import from_json, to_json


def latency(n: int) -> Latency:
    """Samples of 1, 2, ... n microseconds."""
    return Latency(np.arange(1, n + 1, dtype=np.int64) * 1000)


@pytest.mark.parametrize(
    ("percent", "least"), [(50, 20), (90, 100), (99, 1000), (10, 100), (1, 1000)]
)
def test_a_percentile_needs_ten_samples_beyond_it(percent: float, least: int) -> None:
    assert latency(least - 1).percentile_us(percent) is None
    expected = np.percentile(np.arange(1, least + 1), percent)
    assert latency(least).percentile_us(percent) == pytest.approx(expected)


def test_the_figures_are_microseconds_and_calls_per_second() -> None:
    many = latency(1001)
    assert (many.median_us, many.p90_us, many.p99_us) == (501.0, 901.0, 991.0)
    assert many.calls_per_second == pytest.approx(1e6 / 501)
    few = latency(3)
    assert (few.median_us, few.p90_us, few.p99_us) == (2.0, None, None)


def test_a_latency_is_written_with_its_figures_and_read_from_its_samples() -> None:
    content = to_json(latency(40))
    assert content["median_us"] == 20.5
    again = from_json(Latency, content)
    assert np.array_equal(again.samples_ns, latency(40).samples_ns)


def test_each_call_is_timed_as_often_as_asked_or_as_time_allows() -> None:
    counts = {"often": 0, "seldom": 0}

    def count(name: str) -> None:
        counts[name] += 1

    taken = time_interleaved({name: partial(count, name) for name in counts}, 33, 10.0)
    assert {name: len(times) for name, times in taken.items()} == {"often": 33, "seldom": 33}
    assert all(count > 33 for count in counts.values())  # warm-up and discarded calls
    (times,) = time_interleaved({"none": lambda: None}, 1000, 1e-9).values()
    assert len(times) == 1


@pytest.mark.parametrize(
    ("samples", "message"),
    [(np.zeros(0), "at least one sample"), (np.ones((2, 2)), "at least one sample"),
     (np.zeros(1), "above 0 ns")],
)  # fmt: skip
def test_a_latency_needs_a_row_of_times(samples: NDArray[np.float64], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Latency(samples.astype(np.int64))


def test_a_cold_start_is_measured_in_a_process_of_its_own(tiny: Path) -> None:
    bundle = load_bundle(tiny)
    start = cold_start(bundle, bundle.artifact())
    assert isinstance(start, ColdStart)
    assert min(start.process_ms, start.import_ms, start.load_ms, start.first_answer_ms) > 0
    assert start.total_ms > start.process_ms + start.import_ms
    assert start.peak_memory_mb is None or 5 < start.peak_memory_mb < 1000


@pytest.mark.skipif(not installed("litert"), reason="ai-edge-litert is not installed")
def test_a_cold_start_is_that_of_the_artifacts_engine(tiny: Path) -> None:
    bundle = load_bundle(tiny.with_name("bundle_litert"))
    start = cold_start(bundle, bundle.artifact("float32.tflite"), threads=2)
    assert min(start.import_ms, start.load_ms, start.first_answer_ms) > 0


@pytest.mark.parametrize("change", [{"load_ms": -1.0}, {"import_ms": math.nan},
                                    {"peak_memory_mb": 0.0}])  # fmt: skip
def test_a_cold_start_is_checked(change: dict[str, float]) -> None:
    parts = {"process_ms": 1.0, "import_ms": 1.0, "load_ms": 1.0, "first_answer_ms": 1.0}
    with pytest.raises(ValueError, match=r"0 ms or more|above 0 MB"):
        ColdStart(**{**parts, "peak_memory_mb": 1.0, **change})


def test_a_cold_start_that_fails_is_a_bundle_error(tiny: Path, tmp_path: Path) -> None:
    bundle = dataclasses.replace(load_bundle(tiny), folder=tmp_path)
    with pytest.raises(BundleError, match="measuring process failed"):
        cold_start(bundle, bundle.artifact())


def test_the_error_relative_to_golden_answers(tiny: Path) -> None:
    bundle = load_bundle(tiny)
    artifact = bundle.artifact()
    engine = open_engine(bundle, artifact)
    assert artifact.golden is not None
    assert compare(engine.run, artifact.golden, bundle).max_relative_error < 1e-6
    logits = np.array(artifact.golden.logits)

    def error_of(changed: NDArray[np.float64]) -> float:
        rows = tuple(tuple(row) for row in changed.tolist())
        return compare(engine.run, Golden(rows, 0), bundle).max_relative_error

    moved = logits.copy()
    moved[3, 1] += 0.25 * np.ptp(logits)
    assert error_of(moved) == pytest.approx(0.25, rel=0.3)
    assert error_of(logits[:8]) == pytest.approx(0, abs=1e-6)


def test_correct_answers_are_counted_over_all_batches() -> None:
    logits = np.eye(3, dtype=np.float32)
    images = np.zeros((3, 8, 8, 3), dtype=np.uint8)
    batches = [(images, np.array([0, 1, 2])), (images, np.array([0, 2, 1]))]
    assert correct_answers(lambda _: logits, batches) == (4, 6)
