"""What can be made of a trained model, by name.

A name says what is done to the model, in the order in which it is done:

    [weights_][how_]arithmetic[_calibration]

weights: what a short training with tensorflow-model-optimization does to them first
    (none)      nothing: they stay as they were trained
    pruned      the smallest become zero, and stay so
    clustered   those of a layer share a few values
how: where 8 or 16 bits come from
    dynamic     weights beforehand, the ranges of activations anew in every call
    static      both beforehand; activations from calibration images
    qat         both from quantization-aware training: the model learned with them
    mixed       as static, where a layer is quantized
arithmetic: bits of weights (w) and of activations (a)
    float32, float16, w8, w8a8, w8a16
    measured    float32 or w8a8 for each layer, whatever this device runs quicker
calibration: what of the values seen makes an activation's range
    (none)      the smallest and the largest
    entropy     what loses the least information (Kullback-Leibler)
    percentile  all but the outermost hundred-thousandth


So `pruned_static_w8a8` is pruned, then quantized statically to 8 bits. `<recipe>.onnx` and
`<recipe>.tflite` are the files. `_partial` behind a name, which `--max-drop` alone makes, says that
some layers were left in float32; the artifact's settings name them.

This module imports nothing heavy: `--help` reads it.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from export.validation.parity import Parity

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
    """Largest logit difference over the logits' spread; None for a model that was trained on."""
    max_drop: float
    """Loss of accuracy, as a fraction of all images."""
    golden: float
    """For `tinysight verify` on another device: as `max_relative`."""

    def rejection_reason(self, parity: "Parity", reference: "Parity") -> str | None:
        """What is wrong with an artifact, in words; None where nothing is."""
        limit = math.inf if self.max_relative is None else self.max_relative
        if not parity.max_relative <= limit:  # so that NaN, too, is objected to
            return (
                f"its logits differ by up to {parity.max_relative:.2g} of their spread, "
                f"allowed are {limit:.2g}"
            )
        # In images first: a difference of rounded fractions would miss a bound that is just met.
        lost = reference.accuracy.correct - parity.accuracy.correct
        drop = lost / reference.accuracy.n
        if drop > self.max_drop:
            return f"it loses {drop:.2%} of validation accuracy, allowed are {self.max_drop:.2%}"
        return None


@dataclass(frozen=True, slots=True)
class Finetuning:
    """A short training of the finished model, by its run's own recipe but for what stands here."""

    method: Method
    epochs: float = 2.0
    """Passes over the training images; 0.25 is a quarter of one."""
    learning_rate: float = 1e-3
    """The peak of SGD's, whatever optimizer the run used: small, since the model is good already,
    and without Adam's first steps, which are as large for a good model as for a new one."""
    sparsity: float = 0.0
    """Pruning: the part of each layer's weights that becomes zero."""
    clusters: int = 0
    """Clustering: how many values each layer's weights share."""

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
    """One way to make an artifact; all that decides it, but for the run and its data."""

    name: str
    summary: str
    """One line for `--help`."""
    arithmetic: Arithmetic
    tolerance: Tolerance
    finetuning: Finetuning | None = None
    """What is done to the weights first; None leaves them as they were trained."""
    calibration: Calibration | None = None
    """How the ranges of activations are found; None where none are needed."""
    formats: tuple[Format, ...] = FORMATS
    """Those that have it."""

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

    def as_json(self) -> dict[str, Any]:
        """What decides the artifact, without the words about it."""
        settings = dataclasses.asdict(self)
        del settings["name"], settings["summary"], settings["formats"]
        return settings


# Float arithmetic in another order: some units in the last place of the largest logit.
_EXACT = Tolerance(max_relative=1e-4, max_drop=0.001, golden=1e-3)
# Eleven significant bits in every operand; a CPU may compute in 16 bits or in 32.
_HALF = Tolerance(max_relative=0.02, max_drop=0.002, golden=0.01)
# One logit may be far off where the answer is not, so accuracy is what bounds it. A CPU without
# the same 8-bit instructions rounds elsewhere; golden answers allow for that.
_INT8 = Tolerance(max_relative=1.0, max_drop=0.01, golden=0.05)
# Trained on: another network, whose logits need not be near the old ones.
_TRAINED_ON = Tolerance(max_relative=None, max_drop=0.02, golden=0.001)
_TRAINED_ON_INT8 = dataclasses.replace(_TRAINED_ON, golden=0.05)

_PRUNING = Finetuning("pruning", sparsity=0.5)
_CLUSTERING = Finetuning("clustering", clusters=16)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("float32", "as it was trained", "float32", _EXACT),
        Recipe(
            "float16",
            "half the size; a CPU without 16-bit arithmetic computes in float32, and casts",
            "float16",
            _HALF,
        ),
        Recipe(
            "dynamic_w8",
            "8-bit weights; ranges of activations found in every call",
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
            "the same, with the ranges that lose the least information",
            "static_w8a8",
            _INT8,
            calibration="entropy",
            formats=("onnx",),
        ),
        Recipe(
            "static_w8a8_percentile",
            "the same, with ranges that leave out the outermost values",
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
            "8-bit weights and activations, which the model was trained on to live with",
            "qat_w8a8",
            _TRAINED_ON_INT8,
            finetuning=Finetuning("quantization_aware"),
        ),
        Recipe(
            "mixed_measured",
            "int8, but for layers that this device runs quicker in float32",
            "mixed_measured",
            _INT8,
            calibration="minmax",
            formats=("onnx",),
        ),
        Recipe(
            "pruned_float32",
            "half of the weights zero: smaller once compressed",
            "float32",
            _TRAINED_ON,
            finetuning=_PRUNING,
        ),
        Recipe(
            "pruned_static_w8a8",
            "the same, then quantized",
            "static_w8a8",
            _TRAINED_ON_INT8,
            finetuning=_PRUNING,
            calibration="minmax",
        ),
        Recipe(
            "clustered_float32",
            "16 different weights a layer: smaller once compressed",
            "float32",
            _TRAINED_ON,
            finetuning=_CLUSTERING,
        ),
        Recipe(
            "clustered_static_w8a8",
            "the same, then quantized",
            "static_w8a8",
            _TRAINED_ON_INT8,
            finetuning=_CLUSTERING,
            calibration="minmax",
        ),
    )
}
DEFAULT = ("float32", "static_w8a8")
"""What is made when nothing is named."""
