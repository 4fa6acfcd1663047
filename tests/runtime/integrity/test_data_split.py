"""The record proves that no image served twice, and nothing else passes for a proof."""

import base64
import dataclasses
import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysight.integrity.data_split import Indices, SplitError, hash_indices, record, verify_split
from tinysight.provenance import Assignment, IndexSet, SplitRecord
from tinysight.records import from_json, to_json

SETS = {
    "train": np.array([0, 1, 2, 3, 7]),
    "calibration": np.array([1, 7]),
    "val": np.array([4, 9]),
    "test": np.array([5, 6]),
}


@given(st.lists(st.sampled_from("tcve-"), min_size=1, max_size=200))
def test_every_partition_proves_itself_from_its_json_alone(letters: list[str]) -> None:
    served = np.array(letters)
    sets = {
        "train": np.flatnonzero((served == "t") | (served == "c")),
        "calibration": np.flatnonzero(served == "c"),
        "val": np.flatnonzero(served == "v"),
        "test": np.flatnonzero(served == "e"),
    }
    text = json.dumps(to_json(record(sets, len(letters))))
    splits = from_json(SplitRecord, json.loads(text))
    verify_split(splits)
    assert splits.union.n == splits.train.n + splits.val.n + splits.test.n
    for name, indices in sets.items():
        assert getattr(splits, name) == IndexSet(len(indices), hash_indices(indices))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val": np.array([4, 3])}, "1 image of train is in val too: image 3 first"),
        ({"test": np.array([5, 0, 1])}, "2 images of train are in test too: image 0 first"),
        ({"test": np.array([5, 9])}, "1 image of val is in test too: image 9 first"),
        ({"calibration": np.array([1, 5])}, "not in train: image 5, of test, first"),
        ({"calibration": np.array([1, 8])}, "not in train: image 8, of no set, first"),
        ({"train": np.array([0, 1, 7, 7])}, "train has an image twice"),
        ({"val": np.array([-6])}, "val has an index that is none of the 10 images"),
        ({"val": np.array([10])}, "val has an index that is none of the 10 images"),
    ],
)
def test_sets_that_overlap_are_refused(changes: dict[str, Indices], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        record({**SETS, **changes}, 10)


def test_all_four_sets_are_needed() -> None:
    with pytest.raises(SplitError, match="the sets are train"):
        record({"train": SETS["train"]}, 10)


def letters(text: bytes) -> str:
    return base64.b64encode(zlib.compress(text)).decode()


GOOD = record(SETS, 10)


@pytest.mark.parametrize(
    ("tampered", "message"),
    [
        (dataclasses.replace(GOOD, val=IndexSet(3, GOOD.val.sha256)), "the val images are not"),
        (dataclasses.replace(GOOD, test=IndexSet(2, "0" * 64)), "the test images are not those"),
        (dataclasses.replace(GOOD, union=IndexSet(8, GOOD.union.sha256)), "not the recorded union"),
        (dataclasses.replace(GOOD, union=IndexSet(9, "0" * 64)), "not the recorded union"),
    ],
)
def test_sets_that_were_tampered_with_prove_nothing(tampered: SplitRecord, message: str) -> None:
    verify_split(GOOD)
    with pytest.raises(SplitError, match=message):
        verify_split(tampered)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (letters(b"tcttveevet"), "are not those"),
        (letters(b"t" * 9), "not of 10 images"),
        (letters(b"t" * 10_000_000), "not of 10 images"),
        ("%%%", "damaged"),
        (base64.b64encode(b"no zlib").decode(), "damaged"),
    ],
)
def test_an_assignment_that_was_tampered_with_proves_nothing(content: str, message: str) -> None:
    assignment = dataclasses.replace(GOOD.assignment, zlib_base64=content)
    with pytest.raises(SplitError, match=message):
        verify_split(dataclasses.replace(GOOD, assignment=assignment))


@pytest.mark.parametrize("images", [-1, 10**12])
def test_an_assignment_has_a_limit(images: int) -> None:
    with pytest.raises(ValueError, match="allowed"):
        Assignment(images, GOOD.assignment.letters, "")
