"""Where a bundle comes from: its data, with the proof that no image served twice, and its run."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from tinysight.integrity import data_split
from tinysight.provenance import DataRecord, DuplicateCounts, TrainingRecord
from tinysight.records import to_json
from training.data import Dataset, Splits
from training.run_folder import Run


class LeakError(ExportError):
    """An image of the training or calibration set is in the validation or test set too."""


def data_record(dataset: Dataset, splits: Splits, calibration: NDArray[np.int64]) -> DataRecord:
    """What provenance.json says of the data: name, hashes, and that no image served twice.

    Args:
        calibration: indices of the images that calibrate.

    Raises:
        LeakError: an image is in two of train, val and test, or calibration is not within train.
    """
    sets = {**dict(splits.items()), "calibration": calibration}
    try:
        record = data_split.record(sets, len(dataset.targets))
    except data_split.SplitError as error:
        raise LeakError(f"{dataset.title}: {error}") from None
    duplicates = count_duplicates(dataset, splits)
    notes = dataset.notes
    if duplicates.train_test:
        notes = (
            *notes,
            f"{duplicates.train_test:,} of the test images are, pixel for pixel, training images "
            "too: the data brings them twice",
        )
    return DataRecord(
        name=dataset.name,
        title=dataset.title,
        attribution=dataset.attribution,
        notes=notes,
        fingerprint=dataset.fingerprint,
        splits=record,
        duplicates=duplicates,
    )


def count_duplicates(dataset: Dataset, splits: Splits) -> DuplicateCounts:
    """Counts images with the very pixels of another one, in all and across two sets."""
    hashes = {
        part: [hashlib.sha256(dataset.images[i].tobytes()).digest() for i in indices]
        for part, indices in splits.items()
    }
    known = {part: set(digests) for part, digests in hashes.items()}
    return DuplicateCounts(
        distinct=len(set().union(*known.values())),
        train_val=sum(digest in known["train"] for digest in hashes["val"]),
        train_test=sum(digest in known["train"] for digest in hashes["test"]),
        val_test=sum(digest in known["val"] for digest in hashes["test"]),
    )


def training_record(run: Run, macs: int) -> TrainingRecord:
    """The run that a bundle is exported from.

    Args:
        macs: multiply-accumulates of the model for one image.
    """
    record, result = run.record, run.result
    return TrainingRecord(
        model=record.recipe.model,
        recipe=to_json(record.recipe),
        parameters=result.parameters,
        macs=macs,
        seconds=result.seconds,
        device=result.device,
        versions=result.versions,
        validation=result.validation,
        test=result.test,
        teachers=record.teachers,
    )
