"""The same sweep twice agrees, a slower one does not; and what is said about pairs of entries."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("jsonschema")

from benchmarks.cli import main
from benchmarks.report import analysis
from benchmarks.sweep import result_io
from benchmarks.sweep.compare import _mann_whitney, agreement, pair, ratio_interval
from benchmarks.sweep.result import ModelVariant, front
from tests.benchmarks.make_result import make_result
from tinysight.benchmark.results import Measurement


def both(tmp_path, first, second):
    for name, result in (("first", first), ("second", second)):
        (tmp_path / name).mkdir()
        result_io.write(result, tmp_path / name / result_io.NAME)
    return ["compare", str(tmp_path / "first"), str(tmp_path / "second")]


def test_a_sweep_agrees_with_itself(tmp_path, capsys):
    same = make_result({"float32": 50, "int8": 40})
    assert main(both(tmp_path, same, same)) == 0
    assert "2 of 2 medians agree (100%; wanted: 95%)" in capsys.readouterr().out


def test_a_slower_machine_does_not(tmp_path, capsys):
    command = both(
        tmp_path, make_result({"float32": 50, "int8": 40}), make_result({"float32": 50, "int8": 44})
    )
    assert main(command) == 1
    assert "NO" in capsys.readouterr().out
    assert main([*command, "--json"]) == 1
    assert '"agreeing": 1, "cells": 2, "ok": false' in capsys.readouterr().out


def test_a_lower_clock_is_told_from_a_slower_artifact(tmp_path, capsys):
    """All take 5 % longer in the second, and the yardstick too; int8 takes 10 % more on top."""

    def at(result, clock):
        measurements = (
            replace(measurement, clock_probes=(clock,) * 6) for measurement in result.measurements
        )
        return replace(result, measurements=tuple(measurements))

    first = at(make_result({"float32": 50, "int8": 40}), 1000)
    second = at(make_result({"float32": 52.5, "int8": 46.2}), 1050)
    pairs = pair(first, second)
    assert [p.agree for p in pairs] == [False, False]
    assert [p.agree_at_one_clock for p in pairs] == [True, False]
    assert main(both(tmp_path, first, second)) == 1  # the verdict is of what a clock on a wall says
    told = capsys.readouterr().out
    assert "0 of 2 medians agree (0%; wanted: 95%)" in told
    assert "took 1.050 times as long in the second; with that taken out, 1 of 2" in told


def test_the_distribution_is_that_of_mann_and_whitney():
    """Against every order of n and m passes, counted one by one."""
    for n, m in ((1, 1), (3, 2), (2, 5), (4, 4)):
        counts = np.zeros(n * m + 1)
        for places in itertools.combinations(range(n + m), m):
            others = [place for place in range(n + m) if place not in places]
            counts[sum(second < first for second in places for first in others)] += 1
        np.testing.assert_allclose(_mann_whitney(n, m), counts / counts.sum())


def test_two_sweeps_of_the_same_thing_agree_in_nineteen_of_twenty():
    """Whatever the distribution is: here a skewed one, as latencies have."""
    random = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        low, high = ratio_interval(*random.lognormal(0, 0.02, (2, 10)) ** 3)
        held += low <= 1 <= high
    assert 0.945 < held / 2000 < 0.97  # 0.957 by the exact distribution
    assert ratio_interval(np.ones(10), np.full(10, 1.1)) == (pytest.approx(1.1),) * 2
    assert ratio_interval(np.ones(3), np.ones(3)) is None


def test_too_few_passes_or_nothing_in_common_is_one_line(tmp_path, capsys):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    few = make_result({"float32": 50}, passes=2)
    assert agreement(p.agree for p in pair(few, few)) == (0, 0)
    assert main(both(tmp_path / "a", few, few)) == 1
    assert main(both(tmp_path / "b", few, make_result({"int8": 50}))) == 1
    error = capsys.readouterr().err
    assert "at least 4 passes" in error
    assert "no cell in common" in error


def test_the_front_is_what_nothing_beats():
    result = make_result(
        {"slow": 50, "quick": 10, "worse": 20, "same": 60, "best": 90},
        correct={"slow": 160, "quick": 120, "worse": 110, "same": 160, "best": 190},
    )
    kept = front(result, result.measurements)
    assert [measurement.variant for measurement in kept] == [
        f"m/{n}@onnxruntime" for n in ("quick", "slow", "best")
    ]


def test_entries_are_set_against_float32():
    result = make_result(
        {"float32": 50, "int8": 25, "alike": 50.01, "broken": 20},
        correct={"float32": 180, "int8": 179, "alike": 180, "broken": 100},
    )
    rows = {row.variant.recipe: row for row in analysis.rows(result)}
    assert rows["float32"].ratio is None
    assert rows["int8"].ratio.value == pytest.approx(0.5, rel=0.02)
    assert not rows["int8"].ratio.within_noise
    assert rows["alike"].ratio.within_noise
    assert rows["int8"].disagreements.only_first == 1
    assert rows["int8"].same_accuracy
    assert rows["broken"].same_accuracy is False
    said = " ".join(analysis.sentences(list(rows.values())))
    assert "m/int8 · onnxruntime is the quickest within a point" in said
    assert "As quick as its reference, within noise: m/alike" in said
    assert "m/broken · onnxruntime (-40.00 points, p < 0.001)" in said


def test_flipped_images_are_those_of_mcnemar():
    result = make_result({"float32": 50, "int8": 25}, correct={"float32": 180, "int8": 150})
    first, second = result.variants
    places = analysis.flipped(result, first, second)
    assert list(places) == list(range(20, 50))  # make_result answers the first ones wrongly
    assert analysis.disagreements(result, first, second).only_first == len(places)


def test_a_confusion_matrix_counts_every_image():
    result = make_result({"float32": 50})
    counts = analysis.confusion(result, result.variants[0])
    assert counts.sum() == 200
    assert np.trace(counts) == 180


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 1, ([1],)), "at least 1"), ((1, 1, ()), "needs samples"),
     ((1, 1, ([],)), "needs samples"),
     ((1, 1, ([0],)), "above 0 ns")],
)  # fmt: skip
def test_cells_are_checked(arguments, message):
    threads, batch, passes = arguments
    with pytest.raises(ValueError, match=message):
        Measurement("m", threads, batch, tuple(np.array(p, dtype=np.int64) for p in passes))


def test_an_entry_is_called_what_it_is():
    assert ModelVariant("m", "float32", "litert", 1, "0" * 64, None, None).key == "m/float32@litert"
