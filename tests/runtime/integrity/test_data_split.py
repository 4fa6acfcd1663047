"""The record proves that no image served twice, and nothing else passes for a proof."""

import base64
import copy
import json
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysight.integrity.data_split import PartitionError, hash_indices, record, verify_split

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
    data = json.loads(json.dumps(record(sets, len(letters))))
    assert verify_split(data)
    assert data["union"]["n"] == sum(data["splits"][name]["n"] for name in ("train", "val", "test"))
    for name, indices in sets.items():
        assert data["splits"][name] == {"n": len(indices), "sha256": hash_indices(indices)}


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
def test_sets_that_overlap_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PartitionError, match=message):
        record({**SETS, **changes}, 10)


def test_all_four_sets_are_needed() -> None:
    with pytest.raises(PartitionError, match="the sets are train"):
        record({"train": SETS["train"]}, 10)


def test_an_older_bundle_carries_no_proof() -> None:
    assert verify_split({"splits": {"train": {"n": 1, "sha256": "0" * 64}}}) is False


def letters(text: bytes) -> str:
    return base64.b64encode(zlib.compress(text)).decode()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("splits", "val", "n"), 3, "the val images are not those"),
        (("splits", "test", "sha256"), "0" * 64, "the test images are not those"),
        (("union", "n"), 8, "not the recorded union"),
        (("union", "sha256"), "0" * 64, "not the recorded union"),
        (("partition", "zlib_base64"), letters(b"tcttveevet"), "are not those"),
        (("partition", "zlib_base64"), letters(b"t" * 9), "not of 10 images"),
        (("partition", "zlib_base64"), letters(b"t" * 10_000_000), "not of 10 images"),
        (("partition", "zlib_base64"), "%%%", "malformed"),
        (("partition", "zlib_base64"), base64.b64encode(b"no zlib").decode(), "malformed"),
        (("partition", "images"), 10**12, "allowed are"),
        (("partition", "images"), -1, "allowed are"),
        (("partition", "images"), "many", "malformed"),
        (("partition",), 7, "malformed"),
        (("splits",), {"holiday": {"n": 1, "sha256": ""}}, "malformed"),
        (("union",), None, "malformed"),
    ],
)
def test_a_record_that_was_tampered_with_proves_nothing(
    path: tuple[str, ...], value: object, message: str
) -> None:
    data: Any = copy.deepcopy(record(SETS, 10))
    assert verify_split(data)
    entry = data
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value
    with pytest.raises(PartitionError, match=message):
        verify_split(data)
