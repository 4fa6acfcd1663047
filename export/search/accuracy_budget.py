"""The cheapest artifact that loses no more accuracy than allowed, and what was given up for it.

The walk goes from what a device computes quickest to what it computes as it was trained:

1. 8 bits throughout, recipe by recipe;
2. the most accurate of these with its most harmful layers left in float32, one more at a time;
3. 8-bit weights, 16-bit activations, half precision, float32.

What loses too much on the validation images is passed by; the first that does not is chosen. For
TFLite the second step is missing: its converter leaves single layers in float32 only in a graph
whose input is float32 too.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from export.converter import Candidate
from export.recipes import Arithmetic, Format, Recipe
from export.validation.parity import Parity

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
    """A candidate that the walk came by."""

    candidate: Candidate
    validation: Parity
    rejection_reason: str | None
    """Why it was passed by; None for the chosen one."""


def search_within_drop(
    recipes: Sequence[Recipe],
    format_: Format,
    max_drop: float,
    *,
    convert: Convert,
    measure: Callable[[Candidate], Parity],
    harm: Callable[[Recipe], Sequence[str]],
    reference: Parity,
) -> list[Trial]:
    """Tries candidates until one holds the bound; that one comes last, without an objection.

    Args:
        recipes: to choose from, in any order.
        max_drop: the accuracy that may be lost, as a fraction of the validation images.
        measure: compares a candidate with the trained model on the validation images.
        harm: the layers of a static_w8a8 recipe, the most harmful in int8 first: see
            `rank_layer_sensitivity`.
        reference: the trained model against itself on the validation images.

    Returns:
        What was tried, in order; where nothing holds the bound, all have an objection.
    """
    trial: list[Trial] = []
    for recipe, float_layers in _steps(recipes, format_, trial, harm):
        candidate = convert(recipe, format_, float_layers)
        parity = measure(candidate)
        tolerance = dataclasses.replace(recipe.tolerance, max_drop=max_drop)
        trial.append(Trial(candidate, parity, tolerance.rejection_reason(parity, reference)))
        if trial[-1].rejection_reason is None:
            break
    return trial


def rank_layer_sensitivity(
    recipe: Recipe,
    layers: Sequence[str],
    *,
    convert: Convert,
    error: Callable[[Candidate], float],
    count: Callable[[int, int], None],
) -> list[str]:
    """The layers of an ONNX graph, those first whose return to float32 mends the most.

    One layer at a time, the rest in int8: what a layer does to the logits depends on what the
    others have done to its input.

    Args:
        error: of a candidate's logits, on training images.
    """
    left = []
    for done, layer in enumerate(layers):
        count(done, len(layers))
        left.append(error(convert(recipe, "onnx", [layer])))
    return [layers[i] for i in np.argsort(left, kind="stable")]


def _steps(
    recipes: Sequence[Recipe],
    format_: Format,
    trial: list[Trial],
    harm: Callable[[Recipe], Sequence[str]],
) -> Iterator[tuple[Recipe, Sequence[str]]]:
    """Recipe and layers in float32 of each step; `trial` grows meanwhile."""
    ordered = sorted(recipes, key=lambda recipe: CHEAPEST_FIRST.index(recipe.arithmetic))
    integer = [recipe for recipe in ordered if recipe.arithmetic in INTEGER]
    for recipe in integer:
        yield recipe, ()
    static = [one for one in trial if one.candidate.recipe.arithmetic == "static_w8a8"]
    if static and format_ == "onnx":
        best = max(static, key=lambda one: one.validation.accuracy.value).candidate.recipe
        layers = harm(best)
        for n in range(1, len(layers)):
            yield best, layers[:n]
    for recipe in ordered:
        if recipe not in integer:
            yield recipe, ()
