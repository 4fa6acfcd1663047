"""The report as one HTML file: no network, no second file, opens from disk."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from benchmarks.report import analysis, svg
from benchmarks.report.device_section import device_side
from benchmarks.report.layer_charts import charts
from benchmarks.report.text import (
    cell_name,
    device_name,
    display_name,
    metadata,
    methodology,
    subtitle,
    summary_cards,
)
from benchmarks.sweep.compare import Pair, agreement, clock_note, pair
from benchmarks.sweep.result import Result
from tinysight.benchmark.results import Measurement

FLIPS_SHOWN = 24
"""For each pair; the result file has them all."""
CONFUSED_CLASSES = 30
"""Above so many a matrix is a carpet."""
_HERE = Path(__file__).parent
_COLOURS = 8

Thumbnails = Mapping[int, NDArray[np.uint8]]
"""Test images, uint8 (height, width, 3), by their place in the test part."""


def page(results: Sequence[Result], title: str, images: NDArray[np.uint8] | None = None) -> str:
    """The whole page.

    Args:
        results: one or more; the first is the reference of a comparison.
        title: the heading.
        images: the test images, uint8 (n, height, width, 3), of which those that changed sides
            are shown; None shows their numbers alone.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["shown"] = display_name
    names = [device_name(result, results) for result in results]
    engines = sorted({variant.engine for result in results for variant in result.variants})
    colours = {engine: number % _COLOURS + 1 for number, engine in enumerate(engines)}
    disagreements = [f for result in results for f in _flips(result)]
    thumbnails = {} if images is None else _thumbnails(disagreements, images)
    confused = _confusions(results, names)
    diff = _diff(results, names) if len(results) == 2 else None
    return environment.get_template("page.html.jinja").render(
        title=title,
        subtitle=subtitle(results),
        sections=_sections(results, names, diff is not None, bool(confused), bool(disagreements)),
        summary_cards=summary_cards(results[0]),
        results=[_view(result, name, colours) for result, name in zip(results, names, strict=True)],
        diff=diff,
        confusions=[name for name, _ in confused],
        disagreements=disagreements,
        images=thumbnails,
        methodology=methodology(results),
        commands="\n".join(dict.fromkeys(result.command for result in results)),
        css=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        js=Markup((_HERE / "page.js").read_text(encoding="utf-8")),
        data=_embedded(
            {
                "points": [
                    point
                    for result, name in zip(results, names, strict=True)
                    for point in _points(result, name, colours)
                ],
                "cells": list(
                    dict.fromkeys(cell_name(c) for result in results for c in _ordered(result))
                ),
                "engines": engines,
                "models": list(dict.fromkeys(e.model for r in results for e in r.variants)),
                "devices": names,
                "colours": colours,
                "confusions": [content for _, content in confused],
                "images": {str(index): url for index, url in thumbnails.items()},
            }
        ),
    )


def _embedded(content: Mapping[str, Any]) -> Markup:
    """JSON that no text in it can end early: a label may be called </script>."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))


def _sections(
    results: Sequence[Result], names: Sequence[str], diff: bool, confused: bool, disagreements: bool
) -> list[tuple[str, str]]:
    found = [("front-section", "Front")]
    for number, name in enumerate(names, 1):
        found.append((f"result-{number}", "What it says" if len(results) == 1 else name))
    optional = ((diff, "diff", "Differences"), (confused, "confusions", "Confusions"),
                (disagreements, "flips", "Changed sides"))  # fmt: skip
    found += [(id_, words) for there, id_, words in optional if there]
    return [*found, ("how", "How it was measured")]


def _ordered(result: Result) -> list[Measurement]:
    return sorted(
        result.measurements, key=lambda measurement: (measurement.threads, measurement.batch)
    )


def _points(result: Result, name: str, colours: Mapping[str, int]) -> list[dict[str, Any]]:
    points = []
    for measurement in result.measurements:
        variant = result.variant(measurement.variant)
        accuracy = variant.accuracy
        low, high = measurement.interval or (measurement.median, measurement.median)
        worst, best = accuracy.interval if accuracy else (None, None)
        points.append(
            {
                "key": variant.key,
                "cell": cell_name(measurement),
                "device": name,
                "model": variant.model,
                "recipe": variant.recipe,
                "engine": variant.engine,
                "colour": colours[variant.engine],
                "median": measurement.median,
                "low": low,
                "high": high,
                "p99": measurement.latency.percentile(99),
                "accuracy": accuracy and accuracy.value,
                "worst": worst,
                "best": best,
                "kb": round(variant.bytes / 1000),
            }
        )
    return points


def _view(result: Result, name: str, colours: Mapping[str, int]) -> dict[str, Any]:
    found = analysis.rows(result)
    return {
        "name": name,
        "sentences": analysis.sentences(found),
        "base": f"One call at a time, {cell_name(found[0].measurement)}",
        "rows": [
            {
                "key": row.variant.key,
                "model": row.variant.model,
                "recipe": row.variant.recipe,
                "engine": row.variant.engine,
                "colour": colours[row.variant.engine],
                "on_front": row.on_front,
                "is_reference": row.reference.key == row.variant.key,
                "median": row.measurement.median,
                "interval": interval(row.measurement),
                "p90": row.measurement.latency.percentile(90),
                "p99": row.measurement.latency.percentile(99),
                "ratio": row.ratio,
                "accuracy": row.variant.accuracy,
                "flips": row.disagreements,
                "same_accuracy": row.same_accuracy,
                "odds": row.disagreements and analysis.format_p(row.disagreements.p),
                "bytes": row.variant.bytes,
            }
            for row in found
        ],
        "distributions": svg.distributions(
            [row.measurement for row in found], lambda key: colours[result.variant(key).engine]
        ),
        "throughput": _throughput(result),
        "layers": charts(result.layers),
        "device_side": None if result.bench is None else device_side(result.bench),
        "facts": metadata(result),
    }


def interval(measurement: Measurement) -> str:
    return "" if measurement.interval is None else "{:.1f} to {:.1f}".format(*measurement.interval)


def _throughput(result: Result) -> dict[str, Any] | None:
    """Images a second of every cell; None where there is but one for each entry."""
    grid = list(
        dict.fromkeys((measurement.threads, measurement.batch) for measurement in _ordered(result))
    )
    if len(grid) < 2:
        return None
    by_place = {measurement.place: measurement for measurement in result.measurements}
    header = {(c.threads, c.batch): cell_name(c) for c in result.measurements}
    most = max(measurement.images_per_second for measurement in result.measurements)
    rows = []
    for measurement in result.base:
        measurements = [by_place.get((measurement.variant, *place)) for place in grid]
        rows.append(
            (
                measurement.variant,
                [
                    (f"{c.images_per_second:,.0f}", f"{0.32 * c.images_per_second / most:.2f}")
                    if c is not None
                    else ("", "0")
                    for c in measurements
                ],
            )
        )
    return {"header": [header[place] for place in grid], "rows": rows}


def _flips(result: Result) -> list[dict[str, Any]]:
    """For each entry, which images it and its reference disagree on."""
    pairs = []
    for row in analysis.rows(result):
        if row.disagreements is None or result.data is None:
            continue
        first, second = row.reference, row.variant
        places = analysis.flipped(result, first, second)
        if not len(places) or first.answers is None or second.answers is None:
            continue
        labels, targets = result.data.labels, result.data.targets
        # As many that were won as lost, where there are so many: else the one hides the other.
        lost, won = places[: row.disagreements.only_first], places[row.disagreements.only_first :]
        half = FLIPS_SHOWN // 2
        chosen = [*lost[: FLIPS_SHOWN - min(half, len(won))]]
        chosen += [*won[: FLIPS_SHOWN - len(chosen)]]
        pairs.append(
            {
                "name": second.key,
                "reference": first.key,
                "lost": row.disagreements.only_first,
                "won": row.disagreements.only_second,
                "odds": analysis.format_p(row.disagreements.p),
                "noise": row.same_accuracy,
                "more": len(places) - len(chosen),
                "shown": [
                    {
                        "index": int(i),
                        "target": labels[targets[i]],
                        "was": labels[first.answers[i]],
                        "now": labels[second.answers[i]],
                    }
                    for i in chosen
                ],
            }
        )
    return pairs


def _thumbnails(
    disagreements: Sequence[Mapping[str, Any]], images: NDArray[np.uint8]
) -> dict[int, str]:
    """Each image that is shown, once, as a PNG in a URL of its own."""
    found = {}
    for index in sorted({flip["index"] for one in disagreements for flip in one["shown"]}):
        stream = io.BytesIO()
        Image.fromarray(np.asarray(images[index])).save(stream, "PNG", optimize=True)
        found[index] = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    return found


def _confusions(
    results: Sequence[Result], names: Sequence[str]
) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for result, name in zip(results, names, strict=True):
        if result.data is None or len(result.data.labels) > CONFUSED_CLASSES:
            continue
        for variant in sorted(
            result.variants, key=lambda e: -(e.accuracy.value if e.accuracy else 0)
        ):
            counts = analysis.confusion(result, variant)
            if counts is not None:
                title = variant.key if len(results) == 1 else f"{variant.key}, {name}"
                content = {"labels": result.data.labels, "counts": counts.tolist()}
                found.append((title, content))
    return found


def _diff(results: Sequence[Result], names: Sequence[str]) -> dict[str, Any] | None:
    """Two results, cell by cell; None where they have no cell in common."""
    first, second = results
    pairs = pair(first, second)
    if not pairs:
        return None
    agreeing, told = agreement(p.agree for p in pairs)
    same = first.device["cpu"] == second.device["cpu"]
    middle = float(np.median([p.ratio for p in pairs]))
    sentence = f"Over {len(pairs)} cells the second takes {middle:.3f} times as long (median)."
    if told:
        sentence += f" {agreeing} of {told} medians agree: "
        sentence += "the 95 % interval of their ratio holds 1."
        sentence += f" {clock_note(pairs)}".rstrip()
    base = {measurement.place for measurement in first.base}
    drawn = [p for p in pairs if p.first.place in base] or pairs
    return {
        "title": "Two dates, one device" if same else "Two devices",
        "names": names,
        "sentence": sentence,
        "picture": svg.dumbbells(
            [p.first.variant for p in drawn],
            [p.first.median for p in drawn],
            [p.second.median for p in drawn],
        ),
        "rows": [_diff_row(first, second, p) for p in pairs],
    }


def _diff_row(first: Result, second: Result, one: Pair) -> dict[str, Any]:
    before, after = (
        first.variant(one.first.variant).accuracy,
        second.variant(one.first.variant).accuracy,
    )
    change = after.value - before.value if before and after else None
    return {
        "name": f"{one.first.variant}, {cell_name(one.first)}",
        "first": one.first.median,
        "first_interval": interval(one.first),
        "second": one.second.median,
        "second_interval": interval(one.second),
        "ratio": one.ratio,
        "agree": {True: "yes", False: "no", None: "cannot tell"}[one.agree],
        "change": change,
        "change_text": "unknown" if change is None else f"{100 * change:+.2f} points",
    }
