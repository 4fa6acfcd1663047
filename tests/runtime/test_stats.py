"""Intervals and ratios, against published and independent values."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysight.records import to_json
from tinysight.stats import Accuracy, McNemar, PairedRatio, median_interval, paired_ratio


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_newcombes(correct: int, n: int, low: float, high: float) -> None:
    assert Accuracy(correct, n).interval == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_scipys(pair: tuple[int, int]) -> None:
    stats = pytest.importorskip("scipy.stats")
    interval = stats.binomtest(*pair).proportion_ci(0.95, method="wilson")
    assert Accuracy(*pair).interval == pytest.approx(tuple(interval), abs=1e-9)


@given(st.integers(1, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_value_and_mirrors(pair: tuple[int, int]) -> None:
    correct, n = pair
    low, high = Accuracy(correct, n).interval
    assert 0 <= low <= correct / n + 1e-12
    assert correct / n - 1e-12 <= high <= 1
    assert low < high
    mirrored = Accuracy(n - correct, n).interval
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize(("correct", "n"), [(0, 0), (1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(correct: int, n: int) -> None:
    with pytest.raises(ValueError, match="correct of"):
        Accuracy(correct, n)


def test_it_is_written_for_people_and_as_json() -> None:
    accuracy = Accuracy(6838, 10_000)
    assert str(accuracy) == "68.38% [67.46%, 69.28%] of 10,000"
    content = to_json(accuracy)
    assert content["correct"] == 6838
    assert content["n"] == 10_000
    assert content["value"] == 0.6838
    assert content["interval"] == list(accuracy.interval)


def test_a_ratio_is_that_of_the_pairs() -> None:
    """Both slow down together for half of the time: of that the ratio knows nothing."""
    draw = np.random.default_rng(1)
    machine = np.repeat([1.0, 3.0], 500)
    a = (machine * draw.normal(2000, 20, 1000)).astype(np.int64)
    b = (machine * draw.normal(1000, 10, 1000)).astype(np.int64)
    ratio = paired_ratio(a, b)
    assert ratio.low < ratio.value < ratio.high
    assert ratio.value == pytest.approx(2, abs=0.01)
    assert ratio.high - ratio.low < 0.02
    assert not ratio.within_noise
    assert paired_ratio(a, b) == ratio  # seeded


def test_a_thing_and_itself_are_within_noise() -> None:
    a, b = np.random.default_rng(2).integers(900, 1100, (2, 400))
    assert paired_ratio(a, b).within_noise
    assert paired_ratio(a, a) == PairedRatio(1, 1, 1)


@pytest.mark.parametrize(("a", "b"), [([1, 2], [1]), ([1], [1]), ([[1, 2]], [[1, 2]])])
def test_a_ratio_needs_pairs(a: list[int], b: list[int]) -> None:
    with pytest.raises(ValueError, match="paired ratio needs"):
        paired_ratio(np.array(a), np.array(b))


def test_the_interval_of_a_median_lies_between_two_of_the_values() -> None:
    """Conover, table A3: n = 10 leaves one value on either side, n = 6 none; 5 are too few."""
    assert median_interval(np.arange(10.0)) == (1, 8)
    assert median_interval(np.arange(6.0)) == (0, 5)
    assert median_interval(np.arange(5.0)) is None


def test_the_interval_of_a_median_holds_it_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).lognormal(size=(2000, 10))
    intervals = [median_interval(draw) for draw in draws]
    held = [interval is not None and interval[0] <= 1 <= interval[1] for interval in intervals]
    assert np.mean(held) == pytest.approx(0.979, abs=0.01)


def test_mcnemar_by_hand() -> None:
    """Only the first: 9, only the second: 1. p = 2 * (C(10,0) + C(10,1)) / 2**10."""
    first = np.array([1] * 9 + [0] + [1] * 5 + [0] * 5, bool)
    second = np.array([0] * 9 + [1] + [1] * 5 + [0] * 5, bool)
    paired = McNemar.of(first, second)
    assert paired == McNemar(9, 1, 20)
    assert paired.p == pytest.approx(22 / 1024)
    assert paired.difference == pytest.approx(-8 / 20)
    assert McNemar.of(second, first).p == paired.p
    assert McNemar.of(first, first).p == 1
    assert to_json(paired) == {
        "only_first": 9,
        "only_second": 1,
        "n": 20,
        "difference": paired.difference,
        "p": paired.p,
    }


@given(st.integers(0, 4000), st.integers(0, 4000))
def test_mcnemars_p_is_exact(only_first: int, only_second: int) -> None:
    """Against whole numbers: scipy's gives 0 for some values of 1e-300, where ours does not."""
    coins, fewer = only_first + only_second, min(only_first, only_second)
    ways = total = 1
    for heads in range(fewer):
        ways = ways * (coins - heads) // (heads + 1)
        total += ways
    expected = min(1.0, float(Fraction(2 * total, 2**coins)))
    found = McNemar(only_first, only_second, max(1, coins)).p
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-300)


@pytest.mark.parametrize("counts", [(-1, 0, 5), (0, -1, 5), (3, 3, 5), (0, 0, 0)])
def test_impossible_pairs_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="of"):
        McNemar(*counts)
