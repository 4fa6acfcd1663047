"""The images and the recipe that a bundle was trained with."""

import numpy as np
from numpy.typing import NDArray

from tinysight import Bundle
from tinysight.errors import TinysightError
from tinysight.provenance import require_provenance
from tinysight.records import JsonObject, RecordError, from_json
from training.data import Dataset, Splits, load_dataset, split
from training.progress import ProgressCallback
from training.recipes import Recipe


def load_training_data(bundle: Bundle, data: str, progress: ProgressCallback) -> Dataset:
    """Loads a dataset, at the bundle's input size.

    Args:
        bundle: its fingerprint of the data is what the dataset must have.
        data: digits, cifar10, or the path of a folder or tar archive.
        progress: told of downloading and decoding.

    Raises:
        TinysightError: it is not what the bundle was trained on, or the bundle does not say.
    """
    expected = require_provenance(bundle).data.fingerprint
    dataset = load_dataset(data, size=bundle.shape, skip_broken=True, progress=progress)
    if dataset.fingerprint != expected:
        raise TinysightError(f"{data} is not what {bundle.name} was trained on")
    return dataset


def validation_indices(bundle: Bundle, dataset: Dataset) -> NDArray[np.int64]:
    """The dataset's images, int64 (n,), that the bundle's training was validated on.

    Raises TinysightError where the bundle does not record its training.
    """
    return _splits(bundle, dataset).val


def test_indices(bundle: Bundle, dataset: Dataset) -> NDArray[np.int64]:
    """The dataset's images, int64 (n,), that the bundle was tested on; raises as the above."""
    return _splits(bundle, dataset).test


def _splits(bundle: Bundle, dataset: Dataset) -> Splits:
    recipe = parse_recipe(require_provenance(bundle).training.recipe)
    return split(dataset, recipe.data_seed, recipe.val_fraction)


def parse_recipe(content: JsonObject) -> Recipe:
    """A recipe as bundle.json records it. Raises TinysightError for one of another version."""
    try:
        return from_json(Recipe, content)
    except RecordError as error:
        raise TinysightError(f"not a training recipe of this version: {error}") from None


def sample_test_images(dataset: Dataset, count: int) -> NDArray[np.uint8]:
    """So many of the test images, or all, uint8 (n, height, width, 3): a seeded sample.

    Not the first ones: a folder's images come class by class.
    """
    chosen = np.random.default_rng(0).permutation(dataset.parts["test"])[:count]
    return np.stack([dataset.images[index] for index in chosen])
