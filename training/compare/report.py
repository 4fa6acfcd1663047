"""The report of the comparison: Markdown with plots, and the same as one HTML file."""

import base64
import html
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinysight.files import write_bytes
from tinysight.stats import McNemar
from training.compare.plots import draw_confusions, draw_curves, draw_strip
from training.compare.runs import ComparedRun, pairs
from training.data import Dataset

NOTEBOOK = (
    "| *The notebook, small CNN* | *68.33 % (published)* | *about 12 min* | | | |",
    '| *The notebook, "transfer learning"* | *67.21 % (published)* | | | | |',
)
NOTEBOOK_NOTE = (
    "The two rows in italics are what the seed notebook published. Both are the small CNN: its "
    "cell 10 trains `define_model()` a second time, and `define_transfer_model()` is never called. "
    "So the difference between them is that of two seeds, and says nothing about VGG16."
)
SIGNIFICANT = 0.01
"""Below this p, two models differ significantly."""

_STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; max-width: 62rem; margin: 2.5rem auto;
  padding: 0 1.2rem; color: #1c2430; background: #fff; }
h1 { line-height: 1.2; } h2 { margin-top: 2.4rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem; border-bottom: 1px solid #dde3ea; text-align: right; }
th:first-child, td:first-child { text-align: left; }
th { border-bottom: 2px solid #8694a5; } img { max-width: 100%; height: auto; }
code { background: #f2f5f8; padding: .1rem .3rem; border-radius: .25rem; }
pre { background: #f2f5f8; padding: .8rem 1rem; overflow-x: auto; } pre code { padding: 0; }
"""


def write_report(runs: Sequence[ComparedRun], dataset: Dataset, out: Path, command: str) -> None:
    """Writes `out/report.md`, its pictures, and `out/report.html`, which needs no other file."""
    out.mkdir(parents=True, exist_ok=True)
    best = max(runs, key=lambda run: run.accuracy.value)
    baseline = next(run for run in runs if run.key == "baseline")
    other = best if best is not baseline else min(runs, key=lambda run: run.accuracy.value)
    draw_curves(runs, out / "curves.png")
    draw_confusions(runs, dataset, out / "confusion.png")
    draw_strip(other, baseline, dataset, out / "strip.png")
    text = _markdown(runs, dataset, command)
    write_bytes(out / "report.md", text.encode())
    write_bytes(out / "report.html", _html(text, out).encode())


def conclusion(runs: Sequence[ComparedRun]) -> str:
    """Two sentences on the accuracies, made from the figures."""
    by_key = {run.key: run for run in runs}
    baseline, tuned = by_key["baseline"], by_key["vgg16_finetuned"]
    frozen = max(
        (by_key["vgg16_frozen_unit"], by_key["vgg16_frozen_imagenet"]),
        key=lambda run: run.accuracy.value,
    )
    macs_ratio = tuned.macs / baseline.macs
    return (
        f"Frozen, as in the notebook, VGG16 {_against(frozen, baseline)} "
        f"({frozen.accuracy.value:.1%} against {baseline.accuracy.value:.1%}), with "
        f"{'its own' if frozen.key.endswith('imagenet') else 'the notebook’s'} preprocessing, the "
        "better of the two. "
        f"Fine-tuned, it {_against(tuned, baseline)} ({tuned.accuracy.value:.1%}), after "
        f"{_minutes(tuned) / _minutes(baseline):.1f} times the training time and at "
        f"{macs_ratio:.0f} times the multiply-accumulates per image."
    )


def _against(model: ComparedRun, baseline: ComparedRun) -> str:
    paired = McNemar.of(baseline.correct, model.correct)
    if paired.p >= SIGNIFICANT:
        return "does not differ significantly from the small CNN"
    more = "more" if paired.difference > 0 else "less"
    return f"is {more} accurate than the small CNN"


def _markdown(runs: Sequence[ComparedRun], dataset: Dataset, command: str) -> str:
    n = len(dataset.parts["test"])
    lines = [
        f"# Transfer learning with VGG16 against a small CNN, on {dataset.title}",
        "",
        conclusion(runs),
        "",
        f"| model | test accuracy (95 % interval, n = {n:,}) | training | per epoch "
        "| trained parameters | multiply-accumulates |",
        "|:--|--:|--:|--:|--:|--:|",
        *(_row(run) for run in runs),
        *NOTEBOOK,
        "",
        NOTEBOOK_NOTE,
        "",
        "Training includes the features of a frozen base, where the run computed them. "
        f"Each model was trained once (seed {runs[0].run.record.recipe.seed}).",
        "",
        "## Validation accuracy over time",
        "",
        "![validation accuracy over time](curves.png)",
        "",
        "## Two models on the same images",
        "",
        "| | only the first correct | only the second correct | p (McNemar, exact) |",
        "|:--|--:|--:|--:|",
        *(_pair(a, b) for a, b in pairs(runs)),
        "",
        # A link, not a picture: it shows images of the data, which a repository may not hold.
        "[Images that one model classifies correctly and the other does not](strip.png)",
        "",
        "## Confusion matrices",
        "",
        "![confusion matrices](confusion.png)",
        "",
        "## How to reproduce it",
        "",
        f"{_device(runs)} {dataset.attribution}. {'; '.join(dataset.notes)}".strip(),
        "",
        "```",
        command,
        "```",
        "",
    ]
    return "\n".join(lines)


def _row(run: ComparedRun) -> str:
    low, high = run.accuracy.interval
    seconds = run.run.result.seconds
    return (
        f"| {run.title} | {run.accuracy.value:.2%} ({low:.2%} to {high:.2%}) "
        f"| {_time(seconds.training)} | {_time(seconds.per_epoch)} "
        f"| {run.run.result.trainable_parameters:,} | {run.macs / 1e6:,.1f} M |"
    )


def _pair(a: ComparedRun, b: ComparedRun) -> str:
    paired = McNemar.of(a.correct, b.correct)
    p = f"{paired.p:.2g}" if paired.p >= 1e-300 else "< 1e-300"
    return f"| {a.title} / {b.title} | {paired.only_first:,} | {paired.only_second:,} | {p} |"


def _device(runs: Sequence[ComparedRun]) -> str:
    seen: dict[str, list[str]] = {}
    for run in runs:
        device = run.run.result.device
        where = f"{device.cpu}, {device.cores} cores"
        where += f", {', '.join(device.gpus)}" if device.gpus else ", no GPU"
        seen.setdefault(where, []).append(f"{run.title.lower()} in {device.precision}")
    return " ".join(f"Trained on {where}: {'; '.join(what)}." for where, what in seen.items())


def _minutes(run: ComparedRun) -> float:
    return float(run.run.result.seconds.training) / 60


def _time(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 120 else f"{np.round(seconds, 1):g} s"


def _html(markdown: str, folder: Path) -> str:
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark").enable("table").render(markdown)
    body = re.sub(r'<a href="strip\.png">(.*?)</a>', r'\1:<br><img src="strip.png" alt="">', body)

    def inline(match: re.Match[str]) -> str:
        content = base64.b64encode((folder / match[1]).read_bytes()).decode()
        return f'src="data:image/png;base64,{content}"'

    body = re.sub(r'src="([a-z]+\.png)"', inline, body)
    title = html.escape(markdown.splitlines()[0].removeprefix("# "))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
