"""Which candidates are made and evaluated: every recipe asked for, or a search within a budget."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from export.converter import Candidate, Converter
from export.evaluator import Evaluator
from export.recipes import RECIPES, Format, Recipe
from export.search import mixed_precision
from export.search.accuracy_budget import (
    CHEAPEST_FIRST,
    Budget,
    Trial,
    rank_layer_sensitivity,
    search_within_drop,
)
from tinysight.device import info
from tinysight.records import to_json


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be tried."""

    recipes: tuple[str, ...]
    formats: tuple[Format, ...]
    max_accuracy_drop: float | None = None
    """Takes, of each format, the cheapest artifact that loses no more accuracy than this, as a
    fraction of the validation images; None takes every recipe within its own tolerance."""


def evaluate_candidates(plan: Plan, converter: Converter, evaluator: Evaluator) -> Iterator[Trial]:
    """Makes candidates one after the other, with what the validation images say of each."""
    recipes = [RECIPES[name] for name in plan.recipes]
    if plan.max_accuracy_drop is None:
        yield from _evaluate_all(recipes, plan.formats, converter, evaluator)
        return
    budget = Budget(
        max_accuracy_drop=plan.max_accuracy_drop,
        convert=converter.convert,
        measure=lambda candidate: evaluator.parity(candidate, "val"),
        rejection_reason=evaluator.rejection_reason,
        rank_layers=lambda recipe: rank_layer_sensitivity(
            recipe,
            converter.layers(),
            convert=converter.convert,
            error=evaluator.mean_logit_error,
            count=partial(evaluator.count, "ranking layers by sensitivity:"),
        ),
    )
    for format_ in plan.formats:
        possible = [
            recipe
            for recipe in dict.fromkeys((*recipes, RECIPES["float32"]))
            if format_ in recipe.formats and recipe.arithmetic in CHEAPEST_FIRST
        ]
        yield from search_within_drop(possible, format_, budget)


def _evaluate_all(
    recipes: Sequence[Recipe],
    formats: Sequence[Format],
    converter: Converter,
    evaluator: Evaluator,
) -> Iterator[Trial]:
    """Every recipe in every format that has it."""
    for recipe in recipes:
        for format_ in (known for known in formats if known in recipe.formats):
            if recipe.arithmetic == "mixed_measured":
                candidate = _mixed(recipe, converter, evaluator)
            else:
                candidate = converter.convert(recipe, format_)
            reason = evaluator.rejection_reason(candidate, recipe.tolerance)
            yield Trial(candidate, evaluator.parity(candidate, "val"), reason)


def _mixed(recipe: Recipe, converter: Converter, evaluator: Evaluator) -> Candidate:
    """The fastest graph on this device among those that keep the recipe's tolerance."""
    layers = converter.layers()

    def make(float_layers: Sequence[str]) -> Candidate:
        if len(float_layers) == len(layers):
            return converter.convert(RECIPES["float32"], "onnx")
        return converter.convert(RECIPES["static_w8a8"], "onnx", float_layers)

    def reason(float_layers: Sequence[str]) -> str | None:
        return evaluator.rejection_reason(make(float_layers), recipe.tolerance)

    choice = mixed_precision.search(
        layers,
        open_graph=lambda float_layers: evaluator.open_engine(make(float_layers)).run,
        rejection_reason=reason,
        image=evaluator.timing_image,
        progress=evaluator.count,
    )
    chosen = make(choice.float_layers)
    settings = dataclasses.replace(
        chosen.settings,
        arithmetic=recipe.arithmetic,
        tolerance=recipe.tolerance,
        float_layers=choice.float_layers,
        timing_trials=choice.trials,
        device=to_json(info.describe()),
    )
    return Candidate(recipe, "onnx", chosen.content, settings)
