"""The same sweep twice agrees, a slower one does not; and the Pareto front."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cli import main
from benchmarks.sweep import result_io
from benchmarks.sweep.compare import agreement, mann_whitney_distribution, pair, ratio_interval
from benchmarks.sweep.result import SweepResult, measurements_on_pareto_front
from tests.benchmarks.make_result import make_result
from tinysight.benchmark.results import Measurement, ModelVariant


def both(tmp_path: Path, first: SweepResult, second: SweepResult) -> list[str]:
    for name, result in (("first", first), ("second", second)):
        (tmp_path / name).mkdir()
        result_io.write(result, tmp_path / name / result_io.NAME)
    return ["compare", str(tmp_path / "first"), str(tmp_path / "second")]


def test_a_sweep_agrees_with_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = make_result({"float32": 50, "int8": 40})
    assert main(both(tmp_path, same, same)) == 0
    assert "2 of 2 medians agree (100%; required: 95%)" in capsys.readouterr().out


def test_a_slower_machine_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = both(
        tmp_path, make_result({"float32": 50, "int8": 40}), make_result({"float32": 50, "int8": 44})
    )
    assert main(command) == 1
    assert "NO" in capsys.readouterr().out
    assert main([*command, "--json"]) == 1
    assert '"agreeing": 1, "measurements": 2, "ok": false' in capsys.readouterr().out


def test_a_lower_clock_is_told_from_a_slower_artifact(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All take 5 % longer in the second, and the clock probe too; int8 takes 10 % more on top."""

    def at(result: SweepResult, clock: int) -> SweepResult:
        measurements = (
            replace(measurement, clock_probes_ns=(clock,) * 6)
            for measurement in result.measurements
        )
        return replace(result, measurements=tuple(measurements))

    first = at(make_result({"float32": 50, "int8": 40}), 1000)
    second = at(make_result({"float32": 52.5, "int8": 46.2}), 1050)
    pairs = pair(first, second)
    assert [p.agree for p in pairs] == [False, False]
    assert [p.agree_at_one_clock for p in pairs] == [True, False]
    assert main(both(tmp_path, first, second)) == 1  # the verdict is of elapsed time
    told = capsys.readouterr().out
    assert "0 of 2 medians agree (0%; required: 95%)" in told
    assert "took 1.050 times as long in the second; scaled to one clock, 1 of 2" in told


def test_the_distribution_is_that_of_mann_and_whitney() -> None:
    """Against every order of n and m processes, counted one by one."""
    for n, m in ((1, 1), (3, 2), (2, 5), (4, 4)):
        counts = np.zeros(n * m + 1)
        for places in itertools.combinations(range(n + m), m):
            others = [place for place in range(n + m) if place not in places]
            counts[sum(second < first for second in places for first in others)] += 1
        np.testing.assert_allclose(mann_whitney_distribution(n, m), counts / counts.sum())


def test_two_sweeps_of_the_same_thing_agree_in_nineteen_of_twenty() -> None:
    """Whatever the distribution is: here a skewed one, as latencies have."""
    random = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        interval = ratio_interval(*random.lognormal(0, 0.02, (2, 10)) ** 3)
        assert interval is not None
        low, high = interval
        held += low <= 1 <= high
    assert 0.945 < held / 2000 < 0.97  # 0.957 by the exact distribution
    assert ratio_interval(np.ones(10), np.full(10, 1.1)) == pytest.approx((1.1, 1.1))
    assert ratio_interval(np.ones(3), np.ones(3)) is None


def test_too_few_processes_or_nothing_in_common_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    few = make_result({"float32": 50}, processes=2)
    assert agreement(p.agree for p in pair(few, few)) == (0, 0)
    assert main(both(tmp_path / "a", few, few)) == 1
    assert main(both(tmp_path / "b", few, make_result({"int8": 50}))) == 1
    error = capsys.readouterr().err
    assert "at least 4 processes" in error
    assert "no measurement in common" in error


def test_the_pareto_front_is_what_nothing_beats() -> None:
    result = make_result(
        {"slow": 50, "quick": 10, "worse": 20, "same": 60, "best": 90},
        correct={"slow": 160, "quick": 120, "worse": 110, "same": 160, "best": 190},
    )
    kept = measurements_on_pareto_front(result, result.measurements)
    assert [measurement.variant for measurement in kept] == [
        f"m/{n}@onnxruntime" for n in ("quick", "slow", "best")
    ]


@pytest.mark.parametrize(
    ("threads", "batch", "samples", "message"),
    [(0, 1, ([1],), "at least 1"), (1, 1, (), "at least one process"),
     (1, 1, ([],), "at least one sample"), (1, 1, ([0],), "above 0 ns"),
     (1, 1, ([1], [1]), "clock probe")],
)  # fmt: skip
def test_measurements_are_checked(
    threads: int, batch: int, samples: tuple[list[int], ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Measurement(
            "m", threads, batch, tuple(np.array(p, dtype=np.int64) for p in samples), (9000,)
        )


def test_a_variant_has_a_key() -> None:
    variant = ModelVariant("m", "float32", "float32", "litert", 1, "0" * 64, None, None, None)
    assert variant.key == "m/float32@litert"
