"""What a bundle can prove of itself: which image served for what, and how its artifacts agree.

The chain is Keras = TFLite = ONNX = each quantized artifact: every artifact's answers are compared
with the trained model's (`export.validation.parity`), its layers with those of float32 in the same
format (`export.validation.layer_sqnr`), and any device's answers with those given here
(`tinysight.integrity.golden`).
"""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.passes import ExportError
from export.recipes import RECIPES, Finetuning, Format, Recipe
from export.validation.int16_saturation import emulate_int16_saturation
from export.validation.layer_sqnr import Values, divergence, layer_values
from tinysight.integrity import data_split
from training.data import Dataset, Splits

LAYER_IMAGES = 32
"""How many images the layers are compared on."""


class LeakError(ExportError):
    """An image that was trained or calibrated on is one that chooses or judges."""


def data_record(dataset: Dataset, splits: Splits, calibration: NDArray[np.int64]) -> dict[str, Any]:
    """What bundle.json says of the data: name, hashes, and the proof that no image served twice.

    Raises:
        LeakError: an image is in two of train, val and test, or calibration is not within train.
    """
    sets = {**dict(splits.items()), "calibration": calibration}
    try:
        record = data_split.record(sets, len(dataset.targets))
    except data_split.PartitionError as error:
        raise LeakError(f"{dataset.title}: {error}") from None
    repeated = _duplicates(dataset, splits)
    notes = list(dataset.notes)
    if repeated["train_test"]:
        notes.append(
            f"{repeated['train_test']:,} of the test images are, pixel for pixel, training images "
            "too: the data brings them twice"
        )
    return {
        "name": dataset.name,
        "title": dataset.title,
        "attribution": dataset.attribution,
        "notes": notes,
        "fingerprint": dataset.fingerprint,
        **record,
        "duplicates": repeated,
    }


def _duplicates(dataset: Dataset, splits: Splits) -> dict[str, int]:
    """Images with the very pixels of another: how many differ, and how many stand in two sets.

    `train_test` counts the test images that are training images as well. Disjoint indices do not
    exclude them: the data itself may bring an image twice.
    """
    hashes = {
        part: [hashlib.sha256(dataset.images[i].tobytes()).digest() for i in indices]
        for part, indices in splits.items()
    }
    known = {part: set(digests) for part, digests in hashes.items()}
    return {
        "distinct": len(set().union(*known.values())),
        "train_val": sum(digest in known["train"] for digest in hashes["val"]),
        "train_test": sum(digest in known["train"] for digest in hashes["test"]),
        "val_test": sum(digest in known["val"] for digest in hashes["test"]),
    }


class Layers:
    """Compares the layers of artifacts with those of float32, whose values are computed once."""

    def __init__(
        self, images: NDArray[np.uint8], convert: Callable[[Recipe, Format], bytes]
    ) -> None:
        """Computes nothing yet.

        Args:
            images: uint8 (n, h, w, 3), training images.
            convert: makes the float32 artifact of a recipe.
        """
        self._images, self._convert = images[:LAYER_IMAGES], convert
        self._references: dict[tuple[Finetuning | None, Format], Values] = {}

    def record(self, recipe: Recipe, format_: Format, content: bytes) -> dict[str, Any] | None:
        """For bundle.json: the first layer at which the artifact leaves float32, and all of them.

        A pruned or clustered artifact is held against float32 of the same weights, so that this
        tells the quantization's part alone. None for what is float32 itself, or where no layer
        could be matched.
        """
        reference = reference_of(recipe)
        if recipe.arithmetic == "float32":
            return None
        key = (reference.finetuning, format_)
        if key not in self._references:
            content_of_reference = self._convert(reference, format_)
            self._references[key] = layer_values(content_of_reference, format_, self._images)
        found = layer_values(content, format_, self._images)
        compared = divergence(self._references[key], found)
        return None if compared is None else {"against": reference.name, **compared.as_json()}


def reference_of(recipe: Recipe) -> Recipe:
    """The float32 recipe that an artifact's layers are compared with.

    A quantization-aware model has no float32 of its own: it is compared with the trained model's.
    """
    quantization_aware = recipe.arithmetic == "qat_w8a8"
    wanted = None if quantization_aware else recipe.finetuning and recipe.finetuning.method
    for known in RECIPES.values():
        method = known.finetuning and known.finetuning.method
        if known.arithmetic == "float32" and method == wanted:
            return known
    return RECIPES["float32"]


def int16_saturation_record(
    recipe: Recipe, format_: Format, content: bytes, images: NDArray[np.uint8]
) -> dict[str, Any] | None:
    """For bundle.json: what x86 without VNNI would answer, on some dozens of uint8 images.

    None where its arithmetic cannot differ: see `export.validation.int16_saturation`.
    """
    if format_ != "onnx" or not recipe.arithmetic.endswith(("w8a8", "measured")):
        return None
    emulated = emulate_int16_saturation(onnx.load_from_string(content), images)
    return None if emulated is None else emulated.as_json()
