"""Time by layer, where `python -m export explain --json` was recorded with a result."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from benchmarks.report import svg


def charts(recorded: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A picture for each model; none for a recording without layers."""
    return [
        {"model": model, "series": names, "picture": picture, "note": _NOTE}
        for model, content in recorded.items()
        for names, picture in [_picture(content.get("rows") or [])]
        if names
    ]


_NOTE = (
    "Kernel time alone, by onnxruntime's profiler. The sum of the layers is not the whole: every "
    "node has a cost of its own when it is profiled."
)


def _picture(layers: list[Mapping[str, Any]]) -> tuple[list[str], Markup]:
    series = []
    for recipe in ("float32", "int8"):
        values = [(layer.get(recipe) or {}).get("us") for layer in layers]
        if any(value is not None for value in values):
            series.append((recipe, values))
    names = [str(layer.get("name", "")) for layer in layers]
    return [name for name, _ in series], svg.bars(names, series) if series else Markup()
