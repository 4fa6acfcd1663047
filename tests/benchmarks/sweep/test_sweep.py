"""The sweep on the tiny bundle: what it writes, and that it resumes where it was stopped."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("ai_edge_litert")

from benchmarks.cli import main
from benchmarks.sweep import checkpoint, result_io
from benchmarks.sweep.result import SweepResult
from benchmarks.sweep.runner import sweep
from benchmarks.sweep.targets import Target, of_bundle
from tests.benchmarks.conftest import TINY
from tinysight.benchmark.results import BenchmarkSettings
from tinysight.benchmark.worker import Run
from tinysight.bundle import load_bundle
from tinysight.errors import TinysightError
from tinysight.stats import Accuracy


def run(out: Path, *more: str) -> int:
    quick = ["--runs", "30", "--processes", "1"]  # one process has nothing to be spread over
    return main(["sweep", str(TINY), "--out", str(out), *quick, *more])


def test_it_writes_predictions_samples_table_and_plot(swept: Path, measured: SweepResult) -> None:
    """The folders are read as blue, green, red; the bundle's labels are red, green, blue."""
    (variant,) = measured.variants
    assert variant.accuracy == Accuracy(15, 15)
    assert variant.accuracy_source == "measured"
    assert measured.data is not None
    assert measured.data.shape == (8, 8)
    assert np.array_equal(measured.predictions[variant.key], measured.data.targets)
    assert [(one.threads, one.batch) for one in measured.measurements] == [(1, 1), (1, 4)]
    for measurement in measured.measurements:
        assert [samples.size for samples in measurement.samples_ns] == [30, 30]
        assert measurement.interval_us is None  # of two processes
        assert len(measurement.clock_probes_ns) == 2
    assert (swept / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert len((swept / "sweep.md").read_text().splitlines()) == 3
    assert not (swept / checkpoint.FOLDER).exists()


def test_no_folder_of_this_machine_is_recorded(measured: SweepResult, colours: Path) -> None:
    assert str(colours.parent) not in measured.command
    assert str(TINY.parent) not in measured.command
    assert "--batches 1,4" in measured.command


def test_a_stopped_sweep_resumes(tmp_path: Path) -> None:
    """Stopped in its third process: the first two are kept, to the nanosecond."""
    settings = BenchmarkSettings(runs=20, processes=4)

    class StoppedError(Exception):
        pass

    def stop(what: str, done: int, total: int) -> None:
        if done == 2:
            raise StoppedError

    targets = [_with_accuracy(target) for target in of_bundle(load_bundle(TINY))]
    with pytest.raises(StoppedError):
        sweep(targets, None, settings, tmp_path, progress=stop)
    kept = {path.name: path.read_bytes() for path in tmp_path.rglob("process-*.json")}
    assert len(kept) == 2
    result = sweep(targets, None, settings, tmp_path)
    assert len(result.measurements[0].samples_ns) == 4
    for path in tmp_path.rglob("process-*.json"):
        assert kept.get(path.name, path.read_bytes()) == path.read_bytes()
    # Another sweep has records of its own.
    again = sweep(targets, None, BenchmarkSettings(runs=20, processes=1), tmp_path)
    first, second = again.measurements[0].samples_ns[0], result.measurements[0].samples_ns[0]
    assert not np.array_equal(first, second)


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    targets = [_with_accuracy(target) for target in of_bundle(load_bundle(TINY))]
    settings = BenchmarkSettings(runs=1, processes=1)
    sweep(targets, None, settings, tmp_path)
    (file,) = tmp_path.rglob("process-*.json")
    file.write_text('{"timings": []}')
    with pytest.raises(TinysightError, match=r"damaged .*; delete it"):
        sweep(targets, None, settings, tmp_path)


def _with_accuracy(target: Target) -> Target:
    accuracy = Accuracy(1, 2)
    variant = replace(target.variant, accuracy=accuracy, accuracy_source="recorded")
    return replace(target, variant=variant)


def _missing(threads: int) -> Run:
    raise TinysightError("no such file")


def test_a_target_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    (target,) = of_bundle(load_bundle(TINY))
    broken = replace(_with_accuracy(target), open=_missing)
    with pytest.raises(TinysightError, match=r"a measuring process failed: .*no such file"):
        sweep([broken], None, BenchmarkSettings(runs=1, processes=1), tmp_path)


def test_too_few_runs_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "out", "--processes", "40") == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_data_of_other_labels_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "out", "--data", "digits") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out" / result_io.NAME).exists()


def test_without_data_or_a_recorded_accuracy_it_asks_for_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "out") == 1
    assert "give --data" in capsys.readouterr().err


def test_results_are_not_overwritten_unless_asked(
    colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / result_io.NAME
    old.write_text("mine")
    assert run(tmp_path) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert old.read_text() == "mine"
    assert run(tmp_path, "--overwrite", "--data", str(colours)) == 0


def test_two_bundles_of_one_name_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", str(TINY), str(TINY), "--out", str(tmp_path / "out")]) == 1
    assert "one name" in capsys.readouterr().err


def test_no_bundle_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "not a bundle" in capsys.readouterr().err
