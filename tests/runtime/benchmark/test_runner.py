"""`tinysight bench`: what it measures, what it prints, and that its document is read back whole."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysight import TinysightError, load_bundle
from tinysight.benchmark import sample_photo
from tinysight.benchmark import worker as worker_module
from tinysight.benchmark.reference_ops import Float32Peak, float32_peak
from tinysight.benchmark.results import (
    BenchmarkResult,
    BenchmarkSettings,
    EnergyMeasurement,
    Measurement,
    ModelVariant,
)
from tinysight.benchmark.results_io import ResultError, as_text, read
from tinysight.benchmark.runner import bench, start_offsets, steadiness_warnings
from tinysight.benchmark.worker import Job, TimedModel, measure
from tinysight.cli.main import main
from tinysight.device.energy import EnergyCounter
from tinysight.engines.registry import installed
from tinysight.preprocess import open_image
from tinysight.records import from_json

needs_litert = pytest.mark.skipif(not installed("litert"), reason="ai-edge-litert is not installed")


@pytest.fixture
def content(benched: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(benched.read_text())
    return parsed


def test_every_figure_is_there(content: dict[str, Any]) -> None:
    assert (content["kind"], content["format"]) == ("bench", 2)
    assert content["command"].startswith("tinysight bench --bundle bundle --batches 2 --threads 1")
    assert content["device"]["cpu"]
    assert content["versions"]["onnxruntime"]
    assert content["settings"]["processes"] == 2
    (variant,) = content["variants"]
    assert (variant["artifact"], variant["key"]) == ("float32", "tiny/float32@onnxruntime")
    places = [(one["threads"], one["batch"]) for one in content["measurements"]]
    assert places == [(1, 1), (1, 2)]  # batch 1 is always measured
    for measurement in content["measurements"]:
        assert measurement["variant"] == "tiny/float32@onnxruntime"
        assert [len(samples) for samples in measurement["samples_ns"]] == [30, 30]
        assert all(type(time) is int for samples in measurement["samples_ns"] for time in samples)
        assert len(measurement["clock_probes_ns"]) == 2
        assert measurement["interval_us"] is None  # of two processes
        assert measurement["p90_us"] is None  # of 60 samples
        assert measurement["images_per_second"] == pytest.approx(
            1e6 * measurement["batch"] / measurement["median_us"]
        )
    assert content["identity_latencies"][0]["median_us"] > 0
    (starts,) = content["cold_starts"]
    assert len(starts["runs"]) == 2
    assert content["float32_peak"]["macs_per_us"] > 1
    assert content["float32_peak_utilization"] == [None, None]  # the work is not recorded
    (cost,) = content["preprocessing"]
    assert cost["decode"]["median_us"] > 0 < cost["resize"]["median_us"]


def test_what_is_printed_is_read(benched: Path, content: dict[str, Any]) -> None:
    assert json.loads(as_text(read(benched))) == content


def test_no_folder_of_this_machine_is_recorded(benched: Path, tiny: Path) -> None:
    assert str(tiny.parent) not in benched.read_text()


@needs_litert
def test_engines_bundles_and_threads_are_measured_and_shown(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--runs", "4", "--processes", "1", "--batches", "1", "--threads", "1,2"]
    assert main(["bench", "--bundle", str(tiny), str(tiny.with_name("bundle_litert")), *words]) == 0
    out = capsys.readouterr().out
    for variant in ("tiny/float32@onnxruntime", "tiny_litert/float32@litert"):
        assert sum(line.startswith(variant) for line in out.splitlines()) == 2 + 1 + 2 + 1
    for text in ("the identity model takes", "float32 peak: ", "energy: ", "crop and resize"):
        assert text in out


def test_two_bundles_of_one_name_are_one_line(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--bundle", str(tiny), str(tiny)]) == 1
    assert capsys.readouterr().err == "tinysight: two bundles have one name\n"


def test_an_artifact_that_is_damaged_is_one_line(
    spoilt: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = spoilt(artifact={"sha256": "0" * 64})
    assert main(["bench", "--bundle", str(folder), "--processes", "1"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "SHA-256" in error


def test_energy_is_measured_where_it_is_counted(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, with a counter that moves by a microjoule whenever it is read."""
    file = tmp_path / "energy_uj"
    file.write_text("0")

    class Moving(EnergyCounter):
        def read(self) -> tuple[int, ...]:
            file.write_text(str(int(file.read_text()) + 1))
            return super().read()

    counter = Moving("a counter", (file,), (None,))
    monkeypatch.setattr(worker_module, "energy_counter", lambda: (counter, counter.name))
    monkeypatch.setattr("tinysight.device.energy.idle_watts.__defaults__", (0.001,))
    monkeypatch.setattr("tinysight.device.energy.joules_per_call.__defaults__", (0.001,))
    image = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    model = TimedModel(lambda threads: lambda images: np.zeros((1, 3), np.float32), {1: image})
    energy = measure(Job({"m/r@e": model}, (1,), (1,), 1, 0.01, energy=True)).energy
    assert energy is not None
    assert energy.counter == "a counter"
    assert energy.idle_watts is not None
    assert energy.idle_watts > 0
    (measured,) = energy.measurements
    assert measured.variant == "m/r@e"
    assert measured.joules == pytest.approx(1e-6 / measured.calls)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"threads": ()}, "must be different"), ({"threads": (0,)}, "must be different"),
     ({"batches": (1, 1)}, "must be different"), ({"processes": 0}, "needed are"),
     ({"runs": 5}, "needed are"), ({"seconds": 0}, "needed are"),
     ({"seconds": float("inf")}, "needed are"), ({"min_duration": -1}, "minimum duration"),
     ({"min_duration": float("inf")}, "minimum duration")],
)  # fmt: skip
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BenchmarkSettings(**settings)


def test_a_benchmark_needs_batch_1(tiny: Path) -> None:
    with pytest.raises(ValueError, match="batches must include 1"):
        bench([load_bundle(tiny)], BenchmarkSettings(batches=(8,)))


def test_too_few_runs_are_one_line(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--bundle", str(tiny), "--runs", "5"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@given(st.integers(1, 40), st.integers(0, 10_000))
def test_each_process_starts_in_its_own_slot(processes: int, min_duration: int) -> None:
    first, *others = start_offsets(processes, min_duration)
    assert first == 0
    slot = min_duration / processes
    for number, start in enumerate(others, 1):
        assert number * slot * (1 - 1e-9) <= start <= (number + 1) * slot * (1 + 1e-9)


def measurement(medians: list[int], threads: int = 1) -> Measurement:
    samples = tuple(np.array([us * 1000]) for us in medians)
    return Measurement("m/r@e", threads, 1, samples, (9000,) * len(medians))


def test_an_unsteady_or_slowing_machine_is_reported() -> None:
    fast, slow = Float32Peak(100, "x", 1), Float32Peak(80, "x", 1)
    quiet = measurement([50, 51, 52])
    assert steadiness_warnings([quiet], [fast, fast]) == []
    (unsteady,) = steadiness_warnings([measurement([50, 51, 60])], [fast, fast])
    assert "1 of 1 measurements" in unsteady
    assert "up to 20%" in unsteady
    assert steadiness_warnings([quiet, measurement([50, 90], threads=2)], [fast]) == []
    (slower,) = steadiness_warnings([measurement([50])], [fast, slow])
    assert "fell by 20%" in slower
    (cores,) = steadiness_warnings([measurement([50])], [Float32Peak(100, "x", 3.9)])
    assert "3.9 cores" in cores


def test_the_float32_peak_utilization(content: dict[str, Any]) -> None:
    content["variants"][0]["macs"] = 1000
    content["float32_peak"] = {"macs_per_us": 100.0, "backend": "numpy", "cores": 1.0}
    one = {"variant": "tiny/float32@onnxruntime", "threads": 1, "samples_ns": [[20_000]],
           "clock_probes_ns": [9000]}  # fmt: skip
    content["measurements"] = [{**one, "batch": 1}, {**one, "batch": 2}]
    fields = {name: value for name, value in content.items() if name not in ("kind", "format")}
    # 1,000 at 100 a microsecond are 10 us at least, of 20; twice as many images, twice as much.
    assert from_json(BenchmarkResult, fields).float32_peak_utilization == (0.5, 1.0)
    content["variants"][0]["macs"] = None
    assert from_json(BenchmarkResult, fields).float32_peak_utilization == (None, None)


def test_the_peak_is_measured() -> None:
    assert float32_peak(seconds=0).macs_per_us > 1
    with pytest.raises(ValueError, match="above 0"):
        Float32Peak(0, "x", 1)


def test_the_photo_is_one() -> None:
    encoded = sample_photo.jpeg()
    assert 200_000 < len(encoded) < 1_500_000
    assert open_image(encoded).size == (sample_photo.WIDTH, sample_photo.HEIGHT)


def drop(*path: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


def replace(value: Any, *path: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


DAMAGE = {
    "another kind": replace("sweep", "kind"),
    "a later format": replace(3, "format"),
    "an unknown key": replace(1, "more"),
    "no measurements": drop("measurements"),
    "a measurement without samples": replace([], "measurements", 0, "samples_ns"),
    "a text for a time": replace("1", "measurements", 0, "samples_ns", 0, 0),
    "a time of 0": replace(0, "measurements", 0, "samples_ns", 0, 0),
    "half a nanosecond": replace(0.5, "measurements", 0, "samples_ns", 0, 0),
    "an endless time": replace(1 << 70, "measurements", 0, "samples_ns", 0, 0),
    "a measurement of nothing": replace("x/y@z", "measurements", 0, "variant"),
    "an identity model on other threads": replace(2, "identity_latencies", 0, "threads"),
    "no bytes": replace(0, "variants", 0, "bytes"),
    "no variants": replace([], "variants"),
    "a clock probe too few": replace([9000], "measurements", 0, "clock_probes_ns"),
    "a clock probe of 0": replace([0, 9000], "measurements", 0, "clock_probes_ns"),
    "an accuracy from nowhere": replace("measured", "variants", 0, "accuracy_source"),
    "more right than there are": replace({"correct": 3, "n": 2}, "variants", 0, "accuracy"),
    "a list for a device": replace([], "device"),
    "no core": replace(0, "device", "cores"),
    "no peak": replace({}, "float32_peak"),
    "a peak that is no number": replace(float("nan"), "float32_peak", "macs_per_us"),
    "settings in words": replace("usual", "settings"),
    "no process": replace(0, "settings", "processes"),
    "a start before it began": replace(-1, "cold_starts", 0, "runs", 0, "load_ms"),
    "memory in words": replace("much", "cold_starts", 0, "runs", 0, "peak_memory_mb"),
    "power from idling": replace(-1, "energy", "idle_watts"),
    "warnings in one": replace(3, "warnings"),
    "a load in words": replace("low", "before", "load"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_document_is_one_line(
    name: str, content: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    DAMAGE[name](content)
    file = tmp_path / "bench.json"
    file.write_text(json.dumps(content))
    assert main(["select", "--from", str(file), "--max-latency-us", "80"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"tinysight: {file}: ")


@pytest.mark.parametrize("text", ["{", "[]", "null", "[" * 100_000, '{"bundle": "of format 0"}'])
def test_what_is_no_document_is_one_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    file.write_text(text)
    with pytest.raises(ResultError) as caught:
        read(file)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, TinysightError)


def test_energies_and_variants_are_checked() -> None:
    with pytest.raises(ValueError, match="an energy needs"):
        EnergyMeasurement("m/r@e", 1, -1.0, 1)
    with pytest.raises(ValueError, match="multiply-accumulates"):
        ModelVariant("m", "r", "r", "e", 1, "0" * 64, 0, None, None)


def test_progress_reaches_the_end(tiny: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    settings = BenchmarkSettings(runs=1, processes=1, seconds=0.01)
    bench([load_bundle(tiny)], settings, progress=lambda *step: steps.append(step))
    assert [step[1:] for step in steps] == [(0, 2), (1, 2)]
