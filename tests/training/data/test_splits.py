"""Disjoint, stratified, seeded: what is trained on, what chooses, what is looked at once."""

import hashlib
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data import Dataset, Splits, hash_indices, split
from training.data.dataset import Decoded
from training.data.splits import stratified

pytest.importorskip("sklearn")


def dataset(targets: np.ndarray, **parts: np.ndarray) -> Dataset:
    """Empty images of these classes; no pixel of them takes memory."""
    return Dataset(
        name="x",
        title="x",
        source="x",
        attribution="x",
        labels=tuple(map(str, range(int(targets.max()) + 1))),
        images=np.broadcast_to(np.zeros((1, 1, 3), dtype=np.uint8), (len(targets), 1, 1, 3)),
        targets=targets,
        parts=parts,
        fingerprint="0",
    )


@st.composite
def classes(draw: st.DrawFn) -> np.ndarray:
    """Class indices in any order, ten or more of each of two to six classes."""
    counts = draw(st.lists(st.integers(10, 60), min_size=2, max_size=6))
    targets = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    return np.random.default_rng(draw(st.integers(0, 99))).permutation(targets)


@given(classes(), st.sampled_from([0.1, 0.2, 0.25, 0.5]), st.integers(0, 2**31))
def test_a_fraction_of_every_class_is_taken(
    targets: np.ndarray, fraction: float, seed: int
) -> None:
    labels = tuple(map(str, range(int(targets.max()) + 1)))
    indices = np.arange(len(targets), dtype=np.int64) * 3 + 1  # not 0, 1, 2, ...
    spread = np.full(3 * len(targets) + 1, -1)
    spread[indices] = targets
    rest, taken = stratified(indices, spread, fraction, seed, labels)
    np.testing.assert_array_equal(np.sort(np.concatenate([rest, taken])), indices)
    assert (np.diff(rest) > 0).all()
    assert (np.diff(taken) > 0).all()
    assert len(taken) == math.ceil(fraction * len(targets))
    for label in range(len(labels)):
        # Of those taken, which are rounded up: a tenth of 41 is 5, of 29 of them 3.5 and not 2.9.
        wanted = len(taken) * (targets == label).mean()
        assert abs((spread[taken] == label).sum() - wanted) < 1
    again = stratified(indices, spread, fraction, seed, labels)
    np.testing.assert_array_equal(again[1], taken)


def test_cifars_validation_set_has_a_thousand_of_each_class() -> None:
    targets = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 6000))
    order = np.argsort(targets, kind="stable").reshape(10, 6000)
    data = dataset(
        targets, train=np.sort(order[:, :5000].ravel()), test=np.sort(order[:, 5000:].ravel())
    )
    splits = split(data, seed=0)
    for name, each in (("train", 4000), ("val", 1000), ("test", 1000)):
        chosen = dict(splits.items())[name]
        assert np.bincount(targets[chosen]).tolist() == [each] * 10


def test_the_seed_alone_decides() -> None:
    targets = np.tile(np.arange(4), 50)
    data = dataset(targets, train=np.arange(160), test=np.arange(160, 200))
    first, again, other = (split(data, seed) for seed in (1, 1, 2))
    assert first.hashes() == again.hashes()
    assert first.hashes()["val"] != other.hashes()["val"]
    assert first.hashes()["test"] == other.hashes()["test"]


def test_the_split_of_a_seed_never_changes() -> None:
    """Runs and bundles record this hash: a change would make their figures unrepeatable."""
    data = dataset(np.tile(np.arange(4), 50), train=np.arange(160), test=np.arange(160, 200))
    assert (
        split(data, seed=0).hashes()["val"]
        == "257b2c434725fc9a82a97b938adf337c2646a8b0e1f70dd378b9671ca8ee40db"
    )


def test_datas_own_validation_set_is_kept() -> None:
    targets = np.tile(np.arange(2), 10)
    data = dataset(targets, train=np.arange(10), val=np.arange(10, 14), test=np.arange(14, 20))
    splits = split(data, seed=5)
    assert splits.train.tolist() == list(range(10))
    assert splits.val.tolist() == [10, 11, 12, 13]


@pytest.mark.parametrize(
    ("counts", "named"), [([50, 1], "'1'"), ([50, 0, 50], "'1'"), ([2, 2], "'0'")]
)
def test_a_class_too_small_for_both_sides_is_named(
    counts: list[int], named: str, refused: Callable[..., str]
) -> None:
    targets = np.repeat(np.arange(len(counts)), counts)
    labels = tuple(map(str, range(len(counts))))
    indices = np.arange(len(targets), dtype=np.int64)
    refused(lambda: stratified(indices, targets, 0.2, 0, labels), f"the class {named} has only")


@given(st.sets(st.integers(0, 2**40), max_size=50), st.randoms())
def test_the_hash_is_of_the_set_and_not_of_its_order(values: set[int], random: object) -> None:
    listed = sorted(values)
    random.shuffle(listed)  # type: ignore[attr-defined]
    packed = b"".join(value.to_bytes(8, "little") for value in sorted(values))
    for dtype in ("<i8", ">i8"):
        array = np.array(listed, dtype=dtype)
        assert hash_indices(array) == hashlib.sha256(packed).hexdigest()


def test_overlapping_splits_are_refused() -> None:
    with pytest.raises(ValueError, match="not disjoint"):
        Splits(np.array([1, 2]), np.array([2]), np.array([3]))
    with pytest.raises(ValueError, match="not disjoint"):
        Splits(np.array([1, 1]), np.array([2]), np.array([3]))
    with pytest.raises(ValueError, match="negative"):  # the last image by another name
        Splits(np.array([0, 9]), np.array([1]), np.array([-1]))


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ({"train": [0, 1]}, "parts must be"),
        ({"test": [0, 1]}, "parts must be"),
        ({"train": [0], "test": [1], "extra": [2]}, "parts must be"),
        ({"train": [0, 1], "test": [1, 2]}, "in two parts"),
        ({"train": [0, 0], "test": [1]}, "in two parts"),
        ({"train": [0, 2], "test": [-1]}, "beyond the 3 images"),
        ({"train": [0, 1], "test": [3]}, "beyond the 3 images"),
    ],
)
def test_a_datasets_parts_are_validated(parts: dict[str, list[int]], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        dataset(np.arange(3), **{name: np.array(indices) for name, indices in parts.items()})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((4, 8, 8, 3), dtype=np.float32)}, "images are float32"),
        ({"images": np.zeros((4, 8, 8), dtype=np.uint8)}, r"images are uint8 \(4, 8, 8\)"),
        ({"images": np.zeros((4, 8, 8, 4), dtype=np.uint8)}, r"images are uint8 \(4, 8, 8, 4\)"),
        ({"images": np.zeros((3, 8, 8, 3), dtype=np.uint8)}, "3 images, 4 targets"),
        ({"targets": np.array([0, 1, 0])}, "4 images, 3 targets"),
        ({"targets": np.array([0, 1, 0, 1], dtype=np.float64)}, "targets are float64"),
        ({"targets": np.array([[0, 1], [0, 1], [0, 1], [0, 1]])}, r"targets are int64 \(4, 2\)"),
        ({"targets": np.array([0, 1, 2, 0])}, "no class index"),
        ({"targets": np.array([0, 1, -1, 0])}, "no class index"),
        ({"counts": {"train": 3}}, "4 images, 4 targets, parts"),
        ({"counts": {"train": 3, "extra": 1}}, "unknown part"),
    ],
    ids=[str(i) for i in range(11)],
)
def test_what_a_reader_decoded_is_validated(change: dict[str, object], message: str) -> None:
    good: dict[str, object] = {
        "labels": ("a", "b"),
        "images": np.zeros((4, 8, 8, 3), dtype=np.uint8),
        "targets": np.array([0, 1, 0, 1]),
        "counts": {"train": 3, "test": 1},
    }
    Decoded(**good)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        Decoded(**{**good, **change})  # type: ignore[arg-type]
