"""The golden inputs are the same for ever, and a comparison counts what was recorded."""

import hashlib
import math

import numpy as np
import pytest

from tinysight.bundle import MAX_GOLDEN_INPUTS, Golden
from tinysight.integrity import golden


def engine(images: np.ndarray) -> np.ndarray:
    """Mean of each colour, and of one image at a time, as goldens are run."""
    assert len(images) == 1
    return np.asarray(images.mean(axis=(1, 2), dtype=np.float64), dtype=np.float32)


def recorded(count: int = golden.COUNT, tolerance: float = 1e-4) -> Golden:
    logits = np.concatenate([engine(image[None]) for image in golden.inputs(8, 8, count)])
    return golden.record(logits, tolerance)


def test_the_inputs_never_change() -> None:
    """By hash: bundles that were written long ago are verified with them."""
    assert hashlib.sha256(golden.inputs(32, 32).tobytes()).hexdigest() == (
        "de440f581fc8915b1bb2ab6895742ee9fd877867a831867007fed89f46aa9524"
    )


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (32, 32), (5, 33)])
def test_more_inputs_begin_with_fewer(size: tuple[int, int]) -> None:
    few, many = golden.inputs(*size, 8), golden.inputs(*size)
    assert many.shape == (32, *size, 3)
    assert (many[:8] == few).all()
    assert len(np.unique(many[0].reshape(-1, 3), axis=0)) == 1  # of one colour


@pytest.mark.parametrize("count", [1, 8, 32])
def test_as_many_are_compared_as_were_recorded(count: int) -> None:
    found = golden.compare(engine, recorded(count), (8, 8))
    assert (found.inputs, found.same_top1, found.ok) == (count, count, True)
    assert found.max_relative_error < 1e-5


def test_what_differs_is_counted() -> None:
    def other(images: np.ndarray) -> np.ndarray:
        return engine(images)[:, ::-1]

    found = golden.compare(other, recorded(), (8, 8))
    assert not found.ok
    assert 0 < found.same_top1 < found.inputs  # where green is first, it stays first


def test_no_number_is_never_ok() -> None:
    found = golden.compare(lambda images: engine(images) * np.float32(np.nan), recorded(), (8, 8))
    assert found.max_relative_error == math.inf
    assert not found.ok


ROW = (1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("logits", "tolerance"),
    [
        ((), 1e-3),
        ((ROW, (1.0, 2.0)), 1e-3),
        ((ROW,) * (MAX_GOLDEN_INPUTS + 1), 1e-3),
        ((ROW,), -1e-3),
        ((ROW,), 0.11),
        (((1e7, 2.0, 3.0),), 1e-3),
        (((math.nan, 2.0, 3.0),), 1e-3),
        ((ROW,), math.nan),
        ((ROW,), math.inf),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_senseless_record_is_refused(
    logits: tuple[tuple[float, ...], ...], tolerance: float
) -> None:
    with pytest.raises(ValueError, match=r"golden answer|tolerance"):
        Golden(logits, tolerance)


@pytest.mark.parametrize(
    ("recorded_row", "answer", "ok"),
    [
        ((0.0, 9.0, 9.9), (0.0, 9.6, 9.4), True),  # a lead of 0.9, allowed is an error of 1
        ((0.0, 8.4, 9.6), (0.0, 9.1, 9.0), False),  # a lead of 1.2
    ],
)
def test_a_clear_first_class_must_be_the_same_here(
    recorded_row: tuple[float, ...], answer: tuple[float, ...], ok: bool
) -> None:
    first = (0.0, 1.0, 10.0)
    answers = iter(np.array([[first], [answer]], np.float32))
    found = golden.compare(lambda _: next(answers), Golden((first, recorded_row), 0.1), (8, 8))
    assert found.max_relative_error < found.tolerance
    assert found.same_top1 == 1
    assert found.clear_top1_changes == (not ok)
    assert found.ok is ok
