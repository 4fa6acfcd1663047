"""Latencies in turns, percentiles only where samples carry them, a start from cold."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from tinysight import BundleError, load_bundle
from tinysight.benchmark.accuracy import correct_answers
from tinysight.benchmark.cold_start import ColdStart, cold_start
from tinysight.benchmark.timing import Latency
from tinysight.device.info import cores, describe
from tinysight.engines.ort import OnnxRuntimeEngine
from tinysight.engines.registry import installed
from tinysight.integrity.golden import golden_error


def latency(n: int) -> Latency:
    """Samples of 1, 2, ... n microseconds."""
    return Latency(np.arange(1, n + 1, dtype=np.int64) * 1000)


@pytest.mark.parametrize(
    ("percent", "least"), [(50, 20), (90, 100), (99, 1000), (10, 100), (1, 1000)]
)
def test_a_percentile_needs_ten_samples_beyond_it(percent: float, least: int) -> None:
    assert latency(least - 1).percentile(percent) is None
    expected = np.percentile(np.arange(1, least + 1), percent)
    assert latency(least).percentile(percent) == pytest.approx(expected)


def test_the_figures_are_microseconds_and_images_per_second() -> None:
    figures = latency(1001).as_json()
    assert figures == {
        "median_us": 501.0,
        "p90_us": 901.0,
        "p99_us": 991.0,
        "images_per_second": pytest.approx(1e6 / 501),
        "samples": 1001,
    }
    few = latency(3).as_json()
    assert few["median_us"] == 2.0
    assert few["p90_us"] is None
    assert few["p99_us"] is None


@pytest.mark.parametrize("shape", [(0,), (2, 2)])
def test_a_latency_needs_a_row_of_samples(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        Latency(np.zeros(shape, dtype=np.int64))


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
    with pytest.raises(ValueError, match=r"less than no time|some memory"):
        ColdStart(**{**parts, "peak_memory_mb": 1.0, **change})


def test_a_cold_start_that_fails_is_a_bundle_error(tiny: Path, tmp_path: Path) -> None:
    bundle = dataclasses.replace(load_bundle(tiny), folder=tmp_path)
    with pytest.raises(BundleError, match="fresh process failed"):
        cold_start(bundle, bundle.artifact())


def test_the_distance_from_golden_answers(tiny: Path) -> None:
    bundle = load_bundle(tiny)
    artifact = bundle.artifact()
    session = OnnxRuntimeEngine.open(bundle, artifact)
    assert artifact.golden is not None
    distance = golden_error(bundle, artifact, session)
    assert distance is not None
    assert distance < 1e-6
    logits = np.array(artifact.golden["logits"])

    def distance_from(changed: np.ndarray) -> float | None:
        kept = {"logits": changed.tolist(), "tolerance": 1e-5}
        return golden_error(bundle, dataclasses.replace(artifact, golden=kept), session)

    moved = logits.copy()
    moved[3, 1] += 0.25 * np.ptp(logits)
    assert distance_from(moved) == pytest.approx(0.25, rel=0.3)
    assert distance_from(logits[:-1]) == pytest.approx(0, abs=1e-6)  # as older bundles have
    assert distance_from(logits * np.nan) == math.inf
    bare = dataclasses.replace(artifact, golden=None)
    assert golden_error(bundle, bare, session) is None


def test_correct_answers_are_counted_over_all_batches() -> None:
    logits = np.eye(3, dtype=np.float32)
    images = np.zeros((3, 8, 8, 3), dtype=np.uint8)
    batches = [(images, np.array([0, 1, 2])), (images, np.array([0, 2, 1]))]
    assert correct_answers(lambda _: logits, batches) == (4, 6)


def test_the_device_describes_itself() -> None:
    described = describe()
    assert described["cores"] == cores() >= 1
    assert described["cpu"]
    assert described["system"]
