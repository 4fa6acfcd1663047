"""Wilson's interval, against published and independent values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysight.statistics import Accuracy


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
    content = accuracy.as_json()
    assert content["correct"] == 6838
    assert content["n"] == 10_000
    assert content["value"] == 0.6838
    assert content["interval"] == list(accuracy.interval)
