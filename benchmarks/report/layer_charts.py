"""Latency by layer, where `python -m export explain --json` was recorded with a result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from benchmarks.report import svg
from tinysight.records import JsonObject

NOTE = (
    "Kernel time alone, by onnxruntime's profiler. The sum of the layers is not the whole: every "
    "node has a cost of its own when it is profiled."
)
_SERIES = ("float32", "int8")


@dataclass(frozen=True, slots=True)
class LayerChart:
    """A bar chart of one model's layers."""

    model: str
    series: tuple[str, ...]
    """The recipes that have bars, in the order of their colours."""
    chart: Markup
    note: str = NOTE


def layer_charts(recorded: Mapping[str, JsonObject]) -> list[LayerChart]:
    """A chart for each model; none for a recording without layers."""
    charts = []
    for model, content in recorded.items():
        layers: Sequence[JsonObject] = content.get("rows") or ()
        names = [str(layer.get("name", "")) for layer in layers]
        series = [(recipe, [_latency(layer, recipe) for layer in layers]) for recipe in _SERIES]
        drawn = [
            (recipe, values) for recipe, values in series if any(v is not None for v in values)
        ]
        if drawn:
            recipes = tuple(recipe for recipe, _ in drawn)
            charts.append(LayerChart(model, recipes, svg.bars(names, drawn)))
    return charts


def _latency(layer: JsonObject, recipe: str) -> float | None:
    """In microseconds."""
    kernel = layer.get(recipe) or {}
    latency: float | None = kernel.get("us")
    return latency
