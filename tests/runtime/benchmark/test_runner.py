"""`tinysight bench`: what it measures, what it prints, and that its document is read back whole."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinysight import TinysightError, load_bundle
from tinysight.benchmark import sample_photo
from tinysight.benchmark import worker as worker_module
from tinysight.benchmark.isolated_process import run_isolated
from tinysight.benchmark.reference_ops import Peak, float32_peak
from tinysight.benchmark.results import Energy, Measurement, ModelVariant
from tinysight.benchmark.results_io import parse, read
from tinysight.benchmark.runner import Settings, _doubts, bench
from tinysight.benchmark.worker import measure
from tinysight.cli.main import main
from tinysight.engines.registry import installed
from tinysight.preprocess import open_image

needs_litert = pytest.mark.skipif(not installed("litert"), reason="ai-edge-litert is not installed")


@pytest.fixture
def content(benched: Path) -> dict[str, Any]:
    return json.loads(benched.read_text())  # type: ignore[no-any-return]


def test_every_figure_is_there(content: dict[str, Any]) -> None:
    assert (content["kind"], content["format"]) == ("bench", 1)
    assert content["command"].startswith("tinysight bench bundle --batches 2 --threads 1")
    assert content["device"]["cpu"]
    assert content["versions"]["onnxruntime"]
    (variant,) = content["entries"]
    assert variant["artifact"] == "float32"
    places = [(measurement["threads"], measurement["batch"]) for measurement in content["cells"]]
    assert places == [(1, 1), (1, 2)]  # batch 1 is always measured
    for measurement in content["cells"]:
        assert measurement["entry"] == "tiny/float32@onnxruntime"
        assert [len(samples) for samples in measurement["passes_ns"]] == [30, 30]
        assert all(
            type(sample) is int for samples in measurement["passes_ns"] for sample in samples
        )
        assert len(measurement["yardsticks_ns"]) == 2
        assert (
            measurement["interval_us"] is measurement["p90_us"] is None
        )  # too few passes, too few samples
        assert measurement["images_per_second"] == pytest.approx(
            1e6 * measurement["batch"] / measurement["median_us"]
        )
    assert content["floors"][0]["median_us"] > 0
    (starts,) = content["starts"]
    assert len(starts["runs"]) == 2
    assert content["peak"]["macs_per_us"] > 1
    assert content["peak"]["cores"] < 1.2
    (preparation,) = content["preprocessing"]
    assert preparation["decode_us"] > 0 < preparation["resize_us"]


def test_what_is_printed_is_read(benched: Path, content: dict[str, Any]) -> None:
    assert json.loads(json.dumps(read(benched).as_json())) == content


def test_no_folder_of_this_machine_is_recorded(benched: Path, tiny: Path) -> None:
    assert str(tiny.parent) not in benched.read_text()


@needs_litert
def test_engines_bundles_and_threads_are_measured_and_shown(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--samples", "4", "--passes", "1", "--batches", "1", "--threads", "1,2"]
    assert main(["bench", str(tiny), str(tiny.with_name("bundle_litert")), *words]) == 0
    out = capsys.readouterr().out
    for variant in ("tiny/float32@onnxruntime", "tiny_litert/float32@litert"):
        assert sum(line.startswith(variant) for line in out.splitlines()) == 2 + 1 + 2 + 1
    for words_ in ("an empty graph takes", "GMAC/s on one core", "energy: ", "crop and resize"):
        assert words_ in out


def test_two_bundles_of_one_name_are_one_line(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(tiny), str(tiny)]) == 1
    assert capsys.readouterr().err == "tinysight: two bundles have one name\n"


def test_an_artifact_that_is_damaged_is_one_line(
    spoilt: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = spoilt(artifact={"sha256": "0" * 64})
    assert main(["bench", str(folder), "--passes", "1"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "SHA-256" in error


def test_energy_is_measured_where_it_is_counted(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, with a counter that moves by a microjoule whenever it is read."""
    from tinysight.device.energy import EnergyCounter

    file = tmp_path / "energy_uj"
    file.write_text("0")

    class Moving(EnergyCounter):
        def read(self) -> tuple[int, ...]:
            file.write_text(str(int(file.read_text()) + 1))
            return super().read()

    counter = Moving("a counter", (file,), (None,))
    monkeypatch.setattr(worker_module, "energy_counter", lambda: (counter, counter.what))
    monkeypatch.setattr("tinysight.device.energy.idle_watts.__defaults__", (0.001,))
    monkeypatch.setattr("tinysight.device.energy.joules_per_call.__defaults__", (0.001,))
    job = {"folders": [str(tiny)], "entries": [(0, "float32")], "threads": [1], "batches": [1],
           "calls": 1, "seconds": 0.01, "energy": True}  # fmt: skip
    energy = measure(job)["energy"]
    assert energy["counter"] == "a counter"
    assert energy["idle_watts"] > 0
    (measurement,) = energy["cells"]
    assert measurement["joules"] == pytest.approx(1e-6 / measurement["calls"])


@pytest.mark.parametrize(
    "settings",
    [{"threads": ()}, {"threads": (0,)}, {"batches": (1, 1)}, {"batches": (8,)}, {"passes": 0},
     {"calls": 0}, {"seconds": 0}],
)  # fmt: skip
def test_settings_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be different|must have 1|needs a pass"):
        Settings(**settings)


def measurement(medians: list[int], threads: int = 1) -> Measurement:
    return Measurement("m/r@e", threads, 1, tuple(np.array([us * 1000]) for us in medians))


def test_an_unsteady_or_slowing_machine_is_said() -> None:
    fast, slow = Peak(100, "x", 1), Peak(80, "x", 1)
    assert _doubts([measurement([50, 51, 52])], [fast, fast]) == []
    (unsteady,) = _doubts([measurement([50, 51, 60])], [fast, fast])
    assert "1 of 1 cells" in unsteady
    assert "up to 20%" in unsteady
    assert _doubts([measurement([50, 51, 52]), measurement([50, 90], threads=2)], [fast]) == []
    (slower,) = _doubts([measurement([50])], [fast, slow])
    assert "20% less in the last pass" in slower
    (cores,) = _doubts([measurement([50])], [Peak(100, "x", 3.9)])
    assert "3.9 cores" in cores


def test_the_share_of_the_arithmetic_floor(content: dict[str, Any]) -> None:
    content["entries"][0]["macs"] = 1000
    content["peak"] = {"macs_per_us": 100.0, "by": "numpy", "cores": 1.0}
    measurement = {"entry": "tiny/float32@onnxruntime", "threads": 1, "passes_ns": [[20_000]],
            "yardsticks_ns": []}  # fmt: skip
    content["cells"] = [{**measurement, "batch": 1}, {**measurement, "batch": 2}]
    result = parse(content)
    # 1,000 at 100 a microsecond are 10 us at least, of 20; twice as many images, twice as much.
    assert [result.peak_utilization(measurement) for measurement in result.measurements] == [
        0.5,
        1.0,
    ]
    content["entries"][0]["macs"] = None
    assert parse(content).peak_utilization(result.measurements[0]) is None


def test_the_peak_is_measured() -> None:
    peak = float32_peak(seconds=0.01)
    assert peak.macs_per_us > 1
    with pytest.raises(ValueError, match="above 0"):
        Peak(0, "x", 1)


def test_the_photo_is_one() -> None:
    encoded = sample_photo.jpeg()
    assert 200_000 < len(encoded) < 1_500_000
    assert open_image(encoded).size == (sample_photo.WIDTH, sample_photo.HEIGHT)


def test_a_fresh_process_that_fails_says_why() -> None:
    with pytest.raises(TinysightError, match=r"a fresh process failed: .*Error"):
        run_isolated("worker.py", "no JSON")


def drop(*path: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


def put(value: Any, *path: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


DAMAGE = {
    "another kind": put("sweep", "kind"),
    "a later format": put(2, "format"),
    "no cells": drop("cells"),
    "a cell without samples": put([], "cells", 0, "passes_ns"),
    "a text for a time": put("1", "cells", 0, "passes_ns", 0, 0),
    "a time of 0": put(0, "cells", 0, "passes_ns", 0, 0),
    "half a nanosecond": put(0.5, "cells", 0, "passes_ns", 0, 0),
    "an endless time": put(1 << 70, "cells", 0, "passes_ns", 0, 0),
    "a cell of nobody": put("x/y@z", "cells", 0, "entry"),
    "an empty graph on other threads": put(2, "floors", 0, "threads"),
    "no bytes": put(0, "entries", 0, "bytes"),
    "a yardstick too few": put([9000], "cells", 0, "yardsticks_ns"),
    "a yardstick of no length": put([0, 9000], "cells", 0, "yardsticks_ns"),
    "an accuracy from nowhere": put("measured here", "entries", 0, "accuracy_from"),
    "more right than there are": put({"correct": 3, "n": 2}, "entries", 0, "accuracy"),
    "a list for a device": put([], "device"),
    "no peak": put({}, "peak"),
    "a peak that is no number": put(float("nan"), "peak", "macs_per_us"),
    "a start before it began": put(-1, "starts", 0, "runs", 0, "load_ms"),
    "memory in words": put("much", "starts", 0, "runs", 0, "peak_memory_mb"),
    "energy from idling": put(-1, "energy", "idle_watts"),
    "warnings in one": put(3, "warnings"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_document_is_one_line(
    name: str, content: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    DAMAGE[name](content)
    file = tmp_path / "bench.json"
    file.write_text(json.dumps(content))
    assert main(["select", "--from", str(file), "--max-us", "80"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{file}: not what `tinysight bench --json` prints" in error


@pytest.mark.parametrize("text", ["{", "[]", "null", "[" * 100_000, '{"bundle": "of format 0"}'])
def test_what_is_no_document_is_one_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    file.write_text(text)
    with pytest.raises(TinysightError, match="not what") as caught:
        read(file)
    assert "\n" not in str(caught.value)


def test_energies_and_entries_are_checked() -> None:
    with pytest.raises(ValueError, match="an energy needs"):
        Energy("m/r@e", 1, -1.0, 1)
    with pytest.raises(ValueError, match="multiply-accumulates"):
        ModelVariant("m", "r", "r", "e", 1, "0" * 64, 0, None, None)


def test_progress_reaches_the_end(tiny: Path) -> None:
    told: list[tuple[str, int, int]] = []
    settings = Settings(calls=1, passes=1, seconds=0.01)
    bench([load_bundle(tiny)], settings, progress=lambda *step: told.append(step))
    assert [step[1:] for step in told] == [(0, 2), (1, 2)]
