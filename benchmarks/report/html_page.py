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
from benchmarks.report.text import cell_name, device_name, facts, how, shown, subtitle, tiles
from benchmarks.sweep.compare import Pair, agreement, clock_note, pair
from benchmarks.sweep.result import Result
from tinysight.benchmark.results import Cell

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
    environment.filters["shown"] = shown
    names = [device_name(result, results) for result in results]
    engines = sorted({entry.engine for result in results for entry in result.entries})
    colours = {engine: number % _COLOURS + 1 for number, engine in enumerate(engines)}
    flips = [f for result in results for f in _flips(result)]
    thumbnails = {} if images is None else _thumbnails(flips, images)
    confused = _confusions(results, names)
    diff = _diff(results, names) if len(results) == 2 else None
    return environment.get_template("page.html.jinja").render(
        title=title,
        subtitle=subtitle(results),
        sections=_sections(results, names, diff is not None, bool(confused), bool(flips)),
        tiles=tiles(results[0]),
        results=[_view(result, name, colours) for result, name in zip(results, names, strict=True)],
        diff=diff,
        confusions=[name for name, _ in confused],
        flips=flips,
        images=thumbnails,
        how=how(results),
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
                "models": list(dict.fromkeys(e.model for r in results for e in r.entries)),
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
    results: Sequence[Result], names: Sequence[str], diff: bool, confused: bool, flips: bool
) -> list[tuple[str, str]]:
    found = [("front-section", "Front")]
    for number, name in enumerate(names, 1):
        found.append((f"result-{number}", "What it says" if len(results) == 1 else name))
    optional = ((diff, "diff", "Differences"), (confused, "confusions", "Confusions"),
                (flips, "flips", "Changed sides"))  # fmt: skip
    found += [(id_, words) for there, id_, words in optional if there]
    return [*found, ("how", "How it was measured")]


def _ordered(result: Result) -> list[Cell]:
    return sorted(result.cells, key=lambda cell: (cell.threads, cell.batch))


def _points(result: Result, name: str, colours: Mapping[str, int]) -> list[dict[str, Any]]:
    points = []
    for cell in result.cells:
        entry = result.entry(cell.entry)
        accuracy = entry.accuracy
        low, high = cell.interval or (cell.median, cell.median)
        worst, best = accuracy.interval if accuracy else (None, None)
        points.append(
            {
                "key": entry.key,
                "cell": cell_name(cell),
                "device": name,
                "model": entry.model,
                "recipe": entry.recipe,
                "engine": entry.engine,
                "colour": colours[entry.engine],
                "median": cell.median,
                "low": low,
                "high": high,
                "p99": cell.latency.percentile(99),
                "accuracy": accuracy and accuracy.value,
                "worst": worst,
                "best": best,
                "kb": round(entry.bytes / 1000),
            }
        )
    return points


def _view(result: Result, name: str, colours: Mapping[str, int]) -> dict[str, Any]:
    found = analysis.rows(result)
    return {
        "name": name,
        "sentences": analysis.sentences(found),
        "base": f"One call at a time, {cell_name(found[0].cell)}",
        "rows": [
            {
                "key": row.entry.key,
                "model": row.entry.model,
                "recipe": row.entry.recipe,
                "engine": row.entry.engine,
                "colour": colours[row.entry.engine],
                "on_front": row.on_front,
                "is_reference": row.reference.key == row.entry.key,
                "median": row.cell.median,
                "interval": interval(row.cell),
                "p90": row.cell.latency.percentile(90),
                "p99": row.cell.latency.percentile(99),
                "ratio": row.ratio,
                "accuracy": row.entry.accuracy,
                "flips": row.flips,
                "same_accuracy": row.same_accuracy,
                "odds": row.flips and analysis.odds(row.flips.p),
                "bytes": row.entry.bytes,
            }
            for row in found
        ],
        "distributions": svg.distributions(
            [row.cell for row in found], lambda key: colours[result.entry(key).engine]
        ),
        "throughput": _throughput(result),
        "layers": charts(result.layers),
        "device_side": None if result.bench is None else device_side(result.bench),
        "facts": facts(result),
    }


def interval(cell: Cell) -> str:
    return "" if cell.interval is None else "{:.1f} to {:.1f}".format(*cell.interval)


def _throughput(result: Result) -> dict[str, Any] | None:
    """Images a second of every cell; None where there is but one for each entry."""
    grid = list(dict.fromkeys((cell.threads, cell.batch) for cell in _ordered(result)))
    if len(grid) < 2:
        return None
    by_place = {cell.place: cell for cell in result.cells}
    header = {(c.threads, c.batch): cell_name(c) for c in result.cells}
    most = max(cell.images_per_second for cell in result.cells)
    rows = []
    for cell in result.base:
        cells = [by_place.get((cell.entry, *place)) for place in grid]
        rows.append(
            (
                cell.entry,
                [
                    (f"{c.images_per_second:,.0f}", f"{0.32 * c.images_per_second / most:.2f}")
                    if c is not None
                    else ("", "0")
                    for c in cells
                ],
            )
        )
    return {"header": [header[place] for place in grid], "rows": rows}


def _flips(result: Result) -> list[dict[str, Any]]:
    """For each entry, which images it and its reference disagree on."""
    pairs = []
    for row in analysis.rows(result):
        if row.flips is None or result.data is None:
            continue
        first, second = row.reference, row.entry
        places = analysis.flipped(result, first, second)
        if not len(places) or first.answers is None or second.answers is None:
            continue
        labels, targets = result.data.labels, result.data.targets
        # As many that were won as lost, where there are so many: else the one hides the other.
        lost, won = places[: row.flips.only_first], places[row.flips.only_first :]
        half = FLIPS_SHOWN // 2
        chosen = [*lost[: FLIPS_SHOWN - min(half, len(won))]]
        chosen += [*won[: FLIPS_SHOWN - len(chosen)]]
        pairs.append(
            {
                "name": second.key,
                "reference": first.key,
                "lost": row.flips.only_first,
                "won": row.flips.only_second,
                "odds": analysis.odds(row.flips.p),
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


def _thumbnails(flips: Sequence[Mapping[str, Any]], images: NDArray[np.uint8]) -> dict[int, str]:
    """Each image that is shown, once, as a PNG in a URL of its own."""
    found = {}
    for index in sorted({flip["index"] for one in flips for flip in one["shown"]}):
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
        for entry in sorted(result.entries, key=lambda e: -(e.accuracy.value if e.accuracy else 0)):
            counts = analysis.confusion(result, entry)
            if counts is not None:
                title = entry.key if len(results) == 1 else f"{entry.key}, {name}"
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
    base = {cell.place for cell in first.base}
    drawn = [p for p in pairs if p.first.place in base] or pairs
    return {
        "title": "Two dates, one device" if same else "Two devices",
        "names": names,
        "sentence": sentence,
        "picture": svg.dumbbells(
            [p.first.entry for p in drawn],
            [p.first.median for p in drawn],
            [p.second.median for p in drawn],
        ),
        "rows": [_diff_row(first, second, p) for p in pairs],
    }


def _diff_row(first: Result, second: Result, one: Pair) -> dict[str, Any]:
    before, after = first.entry(one.first.entry).accuracy, second.entry(one.first.entry).accuracy
    change = after.value - before.value if before and after else None
    return {
        "name": f"{one.first.entry}, {cell_name(one.first)}",
        "first": one.first.median,
        "first_interval": interval(one.first),
        "second": one.second.median,
        "second_interval": interval(one.second),
        "ratio": one.ratio,
        "agree": {True: "yes", False: "no", None: "cannot tell"}[one.agree],
        "change": change,
        "change_text": "unknown" if change is None else f"{100 * change:+.2f} points",
    }
