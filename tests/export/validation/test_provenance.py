"""An export that would leak an image is refused, and duplicates in the data are counted."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from export import builder, source
from export.builder import ExportOptions, build
from export.passes import ExportError
from export.source import calibration_indices
from export.validation.provenance import LeakError, data_record
from tinysight.integrity.data_split import verify_split
from training.data import Dataset, Splits, split
from training.run_folder import Run


@pytest.fixture(scope="module")
def splits(dataset: Dataset) -> Splits:
    return split(dataset, 0)


def test_the_record_is_its_own_proof(dataset: Dataset, splits: Splits) -> None:
    record = data_record(dataset, splits, calibration_indices(splits, 0))
    assert record.splits is not None
    verify_split(record.splits)
    assert record.splits.union.n == len(dataset.targets)
    assert record.fingerprint == dataset.fingerprint
    for part, sha256 in splits.hashes().items():
        assert getattr(record.splits, part).sha256 == sha256


def test_a_calibration_image_from_the_test_set_is_refused(
    run: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is converted, and with nothing written."""

    def leaking(splits: Splits, seed: int) -> NDArray[np.int64]:
        return np.append(calibration_indices(splits, seed), splits.test[0])

    monkeypatch.setattr(source, "calibration_indices", leaking)
    monkeypatch.setattr(builder, "Converter", None)
    with pytest.raises(LeakError, match=r"1 image of calibration is not in train: .* of test"):
        build(run, dataset, tmp_path / "b", ExportOptions("x", ("float32",)))
    assert list(tmp_path.iterdir()) == []
    assert issubclass(LeakError, ExportError)


def test_images_that_the_data_brings_twice_are_counted(dataset: Dataset, splits: Splits) -> None:
    images = np.array(dataset.images)
    images[splits.test[:3]] = images[splits.train[:3]]
    images[splits.val[0]] = images[splits.train[0]]
    twice = dataclasses.replace(dataset, images=images)
    calibration = calibration_indices(splits, 0)
    record = data_record(twice, splits, calibration)
    plain = data_record(dataset, splits, calibration)
    assert record.duplicates is not None
    assert plain.duplicates is not None
    assert record.duplicates.train_test == plain.duplicates.train_test + 3
    assert record.duplicates.train_val >= 1
    assert any("pixel for pixel" in note for note in record.notes)
