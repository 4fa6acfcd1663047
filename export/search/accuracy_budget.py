"""The cheapest artifact that loses no more accuracy than allowed.

The search goes from what a device computes fastest to the trained model as it is:

1. 8 bits throughout, recipe by recipe;
2. the most accurate of these with its most sensitive layers left in float32, one more at a time;
3. 8-bit weights, 16-bit activations, half precision, float32.

What loses too much on the validation images is rejected; the first that does not is chosen. For
TFLite the second step is missing: its converter leaves single layers in float32 only in a graph
whose input is float32 too.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from export.converter import Candidate
from export.recipes import Arithmetic, Format, Recipe, Tolerance
from tinysight.provenance import Parity

CHEAPEST_FIRST: tuple[Arithmetic, ...] = (
    "static_w8a8",
    "qat_w8a8",
    "dynamic_w8",
    "static_w8a16",
    "float16",
    "float32",
)

INTEGER: tuple[Arithmetic, ...] = ("static_w8a8", "qat_w8a8")
"""8 bits throughout: the same work for a device, however the ranges were found."""

Convert = Callable[[Recipe, Format, Sequence[str]], Candidate]
"""Recipe, format, and the layers that stay in float32: `export.converter.Converter.convert`."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate that was made and evaluated."""

    candidate: Candidate
    validation: Parity
    """Against the trained model, on the validation images."""
    rejection_reason: str | None
    """None where it is accepted."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The accuracy that may be lost, and how candidates are made and measured."""

    max_accuracy_drop: float
    """As a fraction of the validation images."""
    convert: Convert
    measure: Callable[[Candidate], Parity]
    """Compares a candidate with the trained model on the validation images."""
    rejection_reason: Callable[[Candidate, Tolerance], str | None]
    """Why a candidate is not within a tolerance; None where it is."""
    rank_layers: Callable[[Recipe], Sequence[str]]
    """The layers of a static_w8a8 recipe, the most sensitive first: `rank_layer_sensitivity`."""


def search_within_drop(recipes: Sequence[Recipe], format_: Format, budget: Budget) -> list[Trial]:
    """Evaluates candidates until one is within the budget: that one comes last, accepted.

    Args:
        recipes: to choose from, in any order.

    Returns:
        All trials, in order; where nothing is within the budget, all are rejected.
    """
    trials: list[Trial] = []
    for recipe, float_layers in _steps(recipes, format_, trials, budget):
        candidate = budget.convert(recipe, format_, float_layers)
        parity = budget.measure(candidate)
        tolerance = dataclasses.replace(
            recipe.tolerance, max_accuracy_drop=budget.max_accuracy_drop
        )
        reason = budget.rejection_reason(candidate, tolerance)
        trials.append(Trial(candidate, parity, reason))
        if reason is None:
            break
    return trials


def rank_layer_sensitivity(
    recipe: Recipe,
    layers: Sequence[str],
    *,
    convert: Convert,
    error: Callable[[Candidate], float],
    count: Callable[[int, int], None],
) -> list[str]:
    """The layers of an ONNX graph, those first whose return to float32 reduces the error most.

    One layer at a time, the rest in int8: what a layer does to the logits depends on what the
    others have done to its input.

    Args:
        error: of a candidate's logits, on training images.
        count: told the layers done, and all.
    """
    errors = []
    for done, layer in enumerate(layers):
        count(done, len(layers))
        errors.append(error(convert(recipe, "onnx", [layer])))
    return [layers[i] for i in np.argsort(errors, kind="stable")]


def _steps(
    recipes: Sequence[Recipe], format_: Format, trials: list[Trial], budget: Budget
) -> Iterator[tuple[Recipe, Sequence[str]]]:
    """Recipe and layers in float32 of each step; `trials` grows meanwhile."""
    ordered = sorted(recipes, key=lambda recipe: CHEAPEST_FIRST.index(recipe.arithmetic))
    integer = [recipe for recipe in ordered if recipe.arithmetic in INTEGER]
    for recipe in integer:
        yield recipe, ()
    static = [trial for trial in trials if trial.candidate.recipe.arithmetic == "static_w8a8"]
    if static and format_ == "onnx":
        best = max(static, key=lambda trial: trial.validation.accuracy.value).candidate.recipe
        layers = budget.rank_layers(best)
        for n in range(1, len(layers)):
            yield best, layers[:n]
    for recipe in ordered:
        if recipe not in integer:
            yield recipe, ()
