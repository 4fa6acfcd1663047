"""The report as one HTML file: no network, no second file, opens from disk."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from benchmarks.report.analysis import format_p
from benchmarks.report.comparison import compare_results
from benchmarks.report.disagreements import (
    ConfusionMatrix,
    confusion_matrices,
    find_disagreements,
    thumbnails,
)
from benchmarks.report.result_view import by_configuration, format_interval, result_view
from benchmarks.report.text import (
    configuration_name,
    device_name,
    display_name,
    methodology,
    subtitle,
    summary_cards,
)
from benchmarks.sweep.result import SweepResult
from tinysight.records import to_json

_HERE = Path(__file__).parent
_COLOURS = 8


@dataclass(frozen=True, slots=True)
class Point:
    """A mark in the chart of latency against accuracy; page.js draws it."""

    variant: str
    configuration: str
    device: str
    model: str
    recipe: str
    engine: str
    colour: int
    """1 to 8: a class of page.css."""
    latency_us: float
    """The median."""
    latency_low: float
    latency_high: float
    p99_us: float | None
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    kb: int


@dataclass(frozen=True, slots=True)
class PageData:
    """What page.js reads, as JSON. Devices, engines, models and configurations are filters."""

    points: list[Point]
    configurations: list[str]
    engines: list[str]
    models: list[str]
    devices: list[str]
    colours: Mapping[str, int]
    """By engine."""
    confusion_matrices: list[ConfusionMatrix]
    thumbnails: Mapping[str, str]
    """By test image, a data URL."""


def page(
    results: Sequence[SweepResult], title: str, images: NDArray[np.uint8] | None = None
) -> str:
    """The whole page.

    Args:
        results: one or more; of two, the first is the reference of their comparison.
        title: the heading.
        images: the test images, uint8 (n, height, width, 3), of which those on which two variants
            disagree are shown; None shows their numbers alone.
    """
    names = [device_name(result, results) for result in results]
    engines = sorted({variant.engine for result in results for variant in result.variants})
    colours = {engine: number % _COLOURS + 1 for number, engine in enumerate(engines)}
    disagreements = [pair for result in results for pair in find_disagreements(result)]
    matrices = confusion_matrices(results, names)
    comparison = compare_results(results, names)
    data = PageData(
        [
            point
            for result, name in zip(results, names, strict=True)
            for point in _points(result, name, colours)
        ],
        _distinct(configuration_name(m) for result in results for m in by_configuration(result)),
        engines,
        _distinct(variant.model for result in results for variant in result.variants),
        names,
        colours,
        matrices,
        {} if images is None else thumbnails(disagreements, images),
    )
    sections = [("pareto-front", "Pareto front"), *_result_sections(names)]
    if comparison is not None:
        sections.append(("comparison", "Comparison"))
    if matrices:
        sections.append(("confusion", "Confusion matrices"))
    if disagreements:
        sections.append(("disagreements", "Disagreements"))
    return _template().render(
        title=title,
        subtitle=subtitle(results),
        sections=[*sections, ("methodology", "Methodology")],
        summary_cards=summary_cards(results[0]),
        results=[
            result_view(result, name, colours) for result, name in zip(results, names, strict=True)
        ],
        comparison=comparison,
        disagreements=disagreements,
        methodology=methodology(results),
        commands="\n".join(_distinct(result.command for result in results)),
        css=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        js=Markup((_HERE / "page.js").read_text(encoding="utf-8")),
        data=data,
        embedded_data=_embed(data),
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["display_name"] = display_name
    environment.filters["format_p"] = format_p
    environment.filters["format_interval"] = format_interval
    return environment.get_template("page.html.jinja")


def _embed(data: PageData) -> Markup:
    """JSON that no text in it can end early: a label may be called </script>."""
    text = json.dumps(to_json(data), separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))


def _result_sections(names: Sequence[str]) -> list[tuple[str, str]]:
    """An anchor and a title for each result."""
    if len(names) == 1:
        return [("result-1", "Findings")]
    return [(f"result-{number}", name) for number, name in enumerate(names, 1)]


def _points(result: SweepResult, device: str, colours: Mapping[str, int]) -> list[Point]:
    points = []
    for measurement in result.measurements:
        variant = result.variant(measurement.variant)
        accuracy = variant.accuracy
        low, high = measurement.interval_us or (measurement.median_us, measurement.median_us)
        accuracy_low, accuracy_high = accuracy.interval if accuracy else (None, None)
        points.append(
            Point(
                variant=variant.key,
                configuration=configuration_name(measurement),
                device=device,
                model=variant.model,
                recipe=variant.recipe,
                engine=variant.engine,
                colour=colours[variant.engine],
                latency_us=measurement.median_us,
                latency_low=low,
                latency_high=high,
                p99_us=measurement.p99_us,
                accuracy=accuracy.value if accuracy else None,
                accuracy_low=accuracy_low,
                accuracy_high=accuracy_high,
                kb=round(variant.bytes / 1000),
            )
        )
    return points


def _distinct(texts: Iterable[str]) -> list[str]:
    """In the order of their first appearance."""
    return list(dict.fromkeys(texts))
