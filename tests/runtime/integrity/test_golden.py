"""The golden inputs are the same everywhere, and a comparison counts what was recorded."""

import dataclasses
import hashlib
import math
from pathlib import Path

import numpy as np
import pytest

from tinysight import load_bundle
from tinysight.bundle import MAX_GOLDEN_INPUTS, MAX_RECTANGLES, Bundle, Golden
from tinysight.integrity import golden


def engine(images: np.ndarray) -> np.ndarray:
    """Mean of each colour, and of one image at a time, as goldens are run."""
    assert len(images) == 1
    return np.asarray(images.mean(axis=(1, 2), dtype=np.float64), dtype=np.float32)


def recorded(count: int = golden.COUNT, tolerance: float = 1e-4) -> Golden:
    logits = np.concatenate([engine(image[None]) for image in golden.noise(8, 8, count)])
    return golden.record(logits, tolerance)


@pytest.fixture
def bundle(tiny: Path) -> Bundle:
    return load_bundle(tiny)


def test_the_noise_never_changes() -> None:
    """By hash: bundles that were written long ago are verified with it."""
    assert hashlib.sha256(golden.noise(32, 32).tobytes()).hexdigest() == (
        "de440f581fc8915b1bb2ab6895742ee9fd877867a831867007fed89f46aa9524"
    )


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (32, 32), (5, 33)])
def test_more_inputs_begin_with_fewer(size: tuple[int, int]) -> None:
    few, many = golden.noise(*size, 8), golden.noise(*size)
    assert many.shape == (32, *size, 3)
    assert (many[:8] == few).all()
    assert len(np.unique(many[0].reshape(-1, 3), axis=0)) == 1  # of one colour


@pytest.mark.parametrize("count", [1, 8, 32])
def test_as_many_are_compared_as_were_recorded(count: int, bundle: Bundle) -> None:
    found = golden.compare(engine, recorded(count), bundle)
    assert (found.inputs, found.same_top1, found.ok) == (count, count, True)
    assert found.max_relative_error < 1e-5


def test_rectangles_are_painted_over_the_first_inputs(bundle: Bundle) -> None:
    """Corners in 256ths of the side, in any order, both included; later ones over earlier ones."""
    whole, corner, column = "0000ffff010203", "ffffe0e0ff0000", "2000200000ff00"
    painted = dataclasses.replace(bundle, golden_rectangles=(whole + corner, column))
    first, second, third = golden.inputs(painted, 3)
    expected = np.full((8, 8, 3), (1, 2, 3))
    expected[7, 7] = 255, 0, 0
    np.testing.assert_array_equal(first, expected)
    noise = golden.noise(8, 8, 3)
    changed = np.argwhere((second != noise[1]).any(axis=2))
    assert {tuple(at) for at in changed} == {(0, 1)}
    assert tuple(second[0, 1]) == (0, 255, 0)
    np.testing.assert_array_equal(third, noise[2])


def test_the_painted_inputs_are_those_that_are_compared(bundle: Bundle) -> None:
    painted = dataclasses.replace(bundle, golden_rectangles=("0000ffff010203",))
    assert golden.compare(engine, recorded(1), bundle).ok
    assert not golden.compare(engine, recorded(1), painted).ok
    logits = engine(np.full((1, 8, 8, 3), (1, 2, 3), np.uint8))
    assert golden.compare(engine, golden.record(logits, 0.0), painted).ok


@pytest.mark.parametrize(
    "rectangles",
    [
        ("0000ffff0102",),
        ("0000FFFF010203",),
        ("0000ffff01020x",),
        ("00" * 7 * (MAX_RECTANGLES + 1),),
        ("",) * (MAX_GOLDEN_INPUTS + 1),
    ],
    ids=["six bytes", "upper case", "no hexadecimal", "too many", "too many inputs"],
)
def test_other_rectangles_are_refused(rectangles: tuple[str, ...], bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="golden rectangles"):
        dataclasses.replace(bundle, golden_rectangles=rectangles)


def test_what_differs_is_counted(bundle: Bundle) -> None:
    def other(images: np.ndarray) -> np.ndarray:
        return engine(images)[:, ::-1]

    found = golden.compare(other, recorded(), bundle)
    assert not found.ok
    assert 0 < found.same_top1 < found.inputs  # where green is first, it stays first


def test_no_number_is_never_ok(bundle: Bundle) -> None:
    found = golden.compare(lambda images: engine(images) * np.float32(np.nan), recorded(), bundle)
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
    recorded_row: tuple[float, ...], answer: tuple[float, ...], ok: bool, bundle: Bundle
) -> None:
    first = (0.0, 1.0, 10.0)
    answers = iter(np.array([[first], [answer]], np.float32))
    found = golden.compare(lambda _: next(answers), Golden((first, recorded_row), 0.1), bundle)
    assert found.max_relative_error < found.tolerance
    assert found.same_top1 == 1
    assert found.clear_top1_changes == (not ok)
    assert found.ok is ok
