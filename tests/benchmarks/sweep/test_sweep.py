"""The sweep on the tiny bundle: what it writes, and that it goes on where it was stopped."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("jsonschema")

from benchmarks.cli import main
from benchmarks.sweep import checkpoint, result_io
from benchmarks.sweep.runner import Settings, _starts, sweep
from benchmarks.sweep.targets import of_bundle
from tests.benchmarks.conftest import TINY
from tinysight.bundle import load_bundle
from tinysight.errors import TinysightError
from tinysight.stats import Accuracy


def run(out, *more):
    quick = ["--samples", "30", "--passes", "1"]  # one pass has nothing to be spread over
    return main(["sweep", str(TINY), "--out", str(out), *quick, *more])


def test_it_writes_answers_samples_table_and_picture(swept, measured):
    """The folders are read as blue, green, red; the bundle's labels are red, green, blue."""
    (variant,) = measured.variants
    assert (variant.accuracy.correct, variant.accuracy.n) == (15, 15)
    assert np.array_equal(variant.answers, measured.data.targets)
    assert [(measurement.threads, measurement.batch) for measurement in measured.measurements] == [
        (1, 1),
        (1, 4),
    ]
    for measurement in measured.measurements:
        assert [samples.size for samples in measurement.passes] == [30, 30]
        assert measurement.interval is None  # of two passes
        assert len(measurement.clock_probes) == 2
    assert (swept / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert len((swept / "sweep.md").read_text().splitlines()) == 3
    assert not (swept / checkpoint.FOLDER).exists()


def test_no_folder_of_this_machine_is_recorded(measured, swept, colours):
    assert str(colours.parent) not in measured.command
    assert str(TINY.parent) not in measured.command
    assert "--batches 1,4" in measured.command


def test_a_stopped_sweep_goes_on(tmp_path):
    """Stopped in its third pass: the first two are kept, to the nanosecond."""
    settings = Settings(calls=20, passes=4)

    class Stopped(Exception):
        pass

    def stop(what, done, total):
        if done == 2:
            raise Stopped

    recorded = [_with_accuracy(target) for target in of_bundle(load_bundle(TINY))]
    with pytest.raises(Stopped):
        sweep(recorded, None, settings, tmp_path, progress=stop)
    kept = {path.name: path.read_bytes() for path in tmp_path.rglob("*.npz")}
    assert len(kept) == 2
    result = sweep(recorded, None, settings, tmp_path)
    assert len(result.measurements[0].passes) == 4
    for path in tmp_path.rglob("*.npz"):
        assert kept.get(path.name, path.read_bytes()) == path.read_bytes()
    # Another sweep is another matter.
    again = sweep(recorded, None, Settings(calls=20, passes=1), tmp_path)
    assert not np.array_equal(again.measurements[0].passes[0], result.measurements[0].passes[0])


def _with_accuracy(target):
    return replace(target, recorded=Accuracy(1, 2))


def _missing(threads):
    raise TinysightError("no such file")


def test_an_entrant_that_cannot_be_loaded_is_one_line(tmp_path):
    (target,) = of_bundle(load_bundle(TINY))
    broken = replace(_with_accuracy(target), open=_missing)
    with pytest.raises(TinysightError, match=r"a pass failed: .*no such file"):
        sweep([broken], None, Settings(calls=1, passes=1), tmp_path)


@given(st.integers(1, 40), st.integers(0, 10_000))
def test_each_pass_begins_in_its_own_slot(passes, spread):
    first, *others = _starts(passes, spread)
    assert first == 0
    for number, start in enumerate(others, 1):
        assert number * spread / passes <= start <= (number + 1) * spread / passes * (1 + 1e-9)


@pytest.mark.parametrize(
    "settings",
    [{"threads": ()}, {"threads": (0,)}, {"batches": (1, 1)}, {"passes": 0}, {"calls": 5},
     {"seconds": 0}, {"spread": -1}, {"spread": float("inf")}],
)  # fmt: skip
def test_settings_are_checked(settings):
    with pytest.raises(ValueError, match=r"must be different numbers|needs a pass|the spread"):
        Settings(**settings)


def test_data_of_other_labels_is_one_line(tmp_path, capsys):
    assert run(tmp_path / "out", "--data", "digits") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out" / result_io.NAME).exists()


def test_without_data_or_a_recorded_accuracy_it_asks_for_data(tmp_path, capsys):
    assert run(tmp_path / "out") == 1
    assert "give --data" in capsys.readouterr().err


def test_results_are_not_overwritten_unless_asked(colours, tmp_path, capsys):
    old = tmp_path / result_io.NAME
    old.write_text("mine")
    assert run(tmp_path) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert old.read_text() == "mine"
    assert run(tmp_path, "--overwrite", "--data", str(colours)) == 0


def test_two_bundles_of_one_name_are_one_line(tmp_path, capsys):
    assert main(["sweep", str(TINY), str(TINY), "--out", str(tmp_path / "out")]) == 1
    assert "one name" in capsys.readouterr().err


def test_no_bundle_is_one_line(tmp_path, capsys):
    assert main(["sweep", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "not a bundle" in capsys.readouterr().err
