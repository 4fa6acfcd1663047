"""What can be made of a trained model, by name.

A name says what is done to the model, in the order in which it is done:

    [weights_][how_]arithmetic[_calibration]

weights: what a short training with tensorflow-model-optimization does to them first
    (none)      nothing: they stay as they were trained
    pruned      the smallest become zero, and stay so
    clustered   those of a layer share a few values
how: where 8 or 16 bits come from
    dynamic     weights beforehand, the ranges of activations in every call
    static      both beforehand; activations from calibration images
    qat         both from quantization-aware training: the model was trained with them
    mixed       as static, where a layer is quantized
arithmetic: bits of weights (w) and of activations (a)
    float32, float16, w8, w8a8, w8a16
    measured    float32 or w8a8 for each layer, whichever this device runs faster
calibration: what of the values seen makes an activation's range
    (none)      the smallest and the largest
    entropy     what loses the least information (Kullback-Leibler)
    percentile  all but the outermost hundred-thousandth

So `pruned_static_w8a8` is pruned, then quantized statically to 8 bits. `<recipe>.onnx` and
`<recipe>.tflite` are the files. `_partial` behind a name, which `--max-accuracy-drop` alone makes,
says that some layers were left in float32; the artifact's settings name them.

This module imports nothing heavy: `--help` reads it.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

Format = Literal["onnx", "tflite"]
FORMATS: tuple[Format, ...] = ("onnx", "tflite")

Arithmetic = Literal[
    "float32", "float16", "dynamic_w8", "static_w8a8", "static_w8a16", "qat_w8a8", "mixed_measured"
]
Calibration = Literal["minmax", "entropy", "percentile"]
Method = Literal["quantization_aware", "pruning", "clustering"]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far an artifact may be from the trained model on the validation images."""

    max_relative: float | None
    """Largest logit difference over the logits' spread; None for a fine-tuned model, whose logits
    may differ freely."""
    max_accuracy_drop: float
    """Largest loss of accuracy, as a fraction of the images."""
    golden: float
    """Largest logit difference over the spread that `tinysight verify` allows on a device."""


@dataclass(frozen=True, slots=True)
class Finetuning:
    """A short training of the finished model, by its run's own recipe except for these settings."""

    method: Method
    epochs: float = 2.0
    """Passes over the training images; 0.25 is a quarter of one."""
    learning_rate: float = 1e-3
    """Of SGD, at its peak, whatever optimizer the run used: small, since the model is good already,
    and without Adam's first steps, which are as large for a good model as for a new one."""
    sparsity: float = 0.0
    """Pruning: the fraction of each layer's weights that becomes zero."""
    clusters: int = 0
    """Clustering: how many distinct values each layer's weights have."""

    def __post_init__(self) -> None:
        if not 0 < self.epochs < math.inf:
            raise ValueError("the fine-tuning's epochs must be above 0")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError("the fine-tuning's learning rate must be above 0")
        if (self.method == "pruning") != (0 < self.sparsity < 1):
            raise ValueError("pruning, and it alone, needs a sparsity between 0 and 1")
        if (self.method == "clustering") != (self.clusters >= 2):
            raise ValueError("clustering, and it alone, needs two clusters or more")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to make an artifact: all that decides it, except for the run and its data."""

    name: str
    summary: str
    """One line for `--help`."""
    arithmetic: Arithmetic
    tolerance: Tolerance
    finetuning: Finetuning | None = None
    """How the weights are trained first; None leaves them as they are."""
    calibration: Calibration | None = None
    """How the ranges of activations are found; None where none are needed."""
    formats: tuple[Format, ...] = FORMATS
    """Those that the recipe exists in."""

    def __post_init__(self) -> None:
        if (self.calibration is not None) != self.arithmetic.startswith(("static_", "mixed_")):
            raise ValueError(f"{self.name}: static quantization, and it alone, needs a calibration")
        if not self.formats or not set(self.formats) <= set(FORMATS):
            raise ValueError(f"{self.name}: its formats must be among {', '.join(FORMATS)}")
        quantization_aware = (
            self.finetuning is not None and self.finetuning.method == "quantization_aware"
        )
        if quantization_aware != (self.arithmetic == "qat_w8a8"):
            raise ValueError(f"{self.name}: qat_w8a8 comes from quantization-aware training alone")


# Float arithmetic in another order: some units in the last place of the largest logit.
_EXACT = Tolerance(max_relative=1e-4, max_accuracy_drop=0.001, golden=1e-3)
# Eleven significant bits in every operand; a CPU may compute in 16 bits or in 32.
_HALF = Tolerance(max_relative=0.02, max_accuracy_drop=0.002, golden=0.01)
# One logit may be far off where the answer is not, so accuracy is what bounds it. A CPU without
# the same 8-bit instructions rounds elsewhere; golden answers allow for that.
_INT8 = Tolerance(max_relative=1.0, max_accuracy_drop=0.01, golden=0.05)
# Fine-tuned: another network, whose logits need not be near the old ones.
_FINETUNED = Tolerance(max_relative=None, max_accuracy_drop=0.02, golden=0.001)
_FINETUNED_INT8 = dataclasses.replace(_FINETUNED, golden=0.05)

_PRUNING = Finetuning("pruning", sparsity=0.5)
_CLUSTERING = Finetuning("clustering", clusters=16)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("float32", "the trained model as it is", "float32", _EXACT),
        Recipe(
            "float16",
            "16-bit floats, half the size; a CPU without 16-bit arithmetic casts to float32",
            "float16",
            _HALF,
        ),
        Recipe(
            "dynamic_w8",
            "8-bit weights; ranges of activations are computed in every call",
            "dynamic_w8",
            _INT8,
        ),
        Recipe(
            "static_w8a8",
            "8-bit weights and activations, calibrated on training images",
            "static_w8a8",
            _INT8,
            calibration="minmax",
        ),
        Recipe(
            "static_w8a8_entropy",
            "static_w8a8, with the ranges that lose the least information",
            "static_w8a8",
            _INT8,
            calibration="entropy",
            formats=("onnx",),
        ),
        Recipe(
            "static_w8a8_percentile",
            "static_w8a8, with ranges that exclude the outermost values",
            "static_w8a8",
            _INT8,
            calibration="percentile",
            formats=("onnx",),
        ),
        Recipe(
            "static_w8a16",
            "8-bit weights, 16-bit activations: for devices that have such kernels",
            "static_w8a16",
            _INT8,
            calibration="minmax",
        ),
        Recipe(
            "qat_w8a8",
            "8-bit weights and activations, by quantization-aware training",
            "qat_w8a8",
            _FINETUNED_INT8,
            finetuning=Finetuning("quantization_aware"),
        ),
        Recipe(
            "mixed_measured",
            "static_w8a8, except for layers that this device runs faster in float32",
            "mixed_measured",
            _INT8,
            calibration="minmax",
            formats=("onnx",),
        ),
        Recipe(
            "pruned_float32",
            "half of the weights are zero: smaller once compressed",
            "float32",
            _FINETUNED,
            finetuning=_PRUNING,
        ),
        Recipe(
            "pruned_static_w8a8",
            "pruned_float32, then quantized as static_w8a8",
            "static_w8a8",
            _FINETUNED_INT8,
            finetuning=_PRUNING,
            calibration="minmax",
        ),
        Recipe(
            "clustered_float32",
            "16 distinct weights per layer: smaller once compressed",
            "float32",
            _FINETUNED,
            finetuning=_CLUSTERING,
        ),
        Recipe(
            "clustered_static_w8a8",
            "clustered_float32, then quantized as static_w8a8",
            "static_w8a8",
            _FINETUNED_INT8,
            finetuning=_CLUSTERING,
            calibration="minmax",
        ),
    )
}
DEFAULT = ("float32", "static_w8a8")
"""What is made where no recipe is named."""
