"""How an artifact agrees with the trained model, with float32 by layer, and with other CPUs.

The chain is Keras = TFLite = ONNX = each quantized artifact: every artifact's logits are compared
with the trained model's (`export.validation.parity`), its layers with those of float32 in the same
format (`export.validation.layer_sqnr`), and any device's logits with those recorded here
(`tinysight.integrity.golden`).
"""

from collections.abc import Callable

import numpy as np
import onnx
from numpy.typing import NDArray

from export.converter import Candidate
from export.recipes import RECIPES, Finetuning, Format, Recipe
from export.validation.int16_saturation import emulate_int16_saturation
from export.validation.layer_sqnr import LayerOutputs, compare_layers, layer_outputs
from tinysight.provenance import LayerNoise, SaturationRecord

LAYER_IMAGES = 32
"""How many images the layers are compared on."""


class ArtifactChecker:
    """Looks into artifacts; the layer outputs of float32 are computed once for all of them."""

    def __init__(
        self, images: NDArray[np.uint8], convert: Callable[[Recipe, Format], Candidate]
    ) -> None:
        """Computes nothing yet.

        Args:
            images: uint8 (n, h, w, 3), training images; the first `LAYER_IMAGES` are taken.
            convert: makes the float32 artifact of a recipe.
        """
        self._images, self._convert = images[:LAYER_IMAGES], convert
        self._references: dict[tuple[Finetuning | None, Format], LayerOutputs] = {}

    def compare_layers(self, candidate: Candidate) -> LayerNoise | None:
        """Each layer's noise against float32.

        A pruned or clustered artifact is compared with float32 of the same weights, so that this
        shows the effect of quantization alone. None for float32 itself, or where no layer could be
        matched.
        """
        recipe, format_ = candidate.recipe, candidate.format
        if recipe.arithmetic == "float32":
            return None
        reference = float32_reference(recipe)
        key = (reference.finetuning, format_)
        if key not in self._references:
            content = self._convert(reference, format_).content
            self._references[key] = layer_outputs(content, format_, self._images)
        actual = layer_outputs(candidate.content, format_, self._images)
        return compare_layers(self._references[key], actual, against=reference.name)

    def emulate_saturation(self, candidate: Candidate) -> SaturationRecord | None:
        """What x86 without VNNI would answer.

        None where its arithmetic cannot differ: see `export.validation.int16_saturation`.
        """
        arithmetic = candidate.recipe.arithmetic
        if candidate.format != "onnx" or not arithmetic.endswith(("w8a8", "measured")):
            return None
        return emulate_int16_saturation(onnx.load_from_string(candidate.content), self._images)


def float32_reference(recipe: Recipe) -> Recipe:
    """The float32 recipe that an artifact's layers are compared with.

    A quantization-aware model has no float32 of its own: it is compared with the trained model's.
    """
    quantization_aware = recipe.arithmetic == "qat_w8a8"
    expected = None if quantization_aware else recipe.finetuning and recipe.finetuning.method
    for known in RECIPES.values():
        method = known.finetuning and known.finetuning.method
        if known.arithmetic == "float32" and method == expected:
            return known
    return RECIPES["float32"]
