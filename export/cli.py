"""`python -m export RUN --out BUNDLE`, and `python -m export explain BUNDLE`."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from export.explain.cli import main as explain
from export.recipes import DEFAULT, FORMATS, RECIPES
from tinysight.console import ProgressLine, fail, require_extra, run_cli, table
from tinysight.errors import TinysightError

if TYPE_CHECKING:
    from export.builder import Report


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="python -m export",
        description="Makes a bundle of a finished run: converts the model by every recipe to ONNX "
        "and TFLite, compares each artifact with the trained model on real images, and writes "
        "those that are near enough. Exit code 1 when one was not.",
        epilog="recipes (those with * train on for some minutes):\n"
        + "".join(
            f"  {name + (' *' if recipe.finetuning else ''):24}{recipe.summary}\n"
            for name, recipe in RECIPES.items()
        )
        + "\nexamples:\n"
        "  python -m export runs/cifar --out bundles/cifar\n"
        "  python -m export runs/cifar --recipes all --finetune-epochs 0.5 --out bundles/cifar\n"
        "  python -m export runs/cifar --max-drop 0.5 --out bundles/cifar\n"
        "  python -m export explain bundles/cifar    (why int8 takes the time it takes: --help)",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main.add_argument("run", type=Path, help="the run folder that `python -m training` wrote")
    main.add_argument("--out", type=Path, required=True, help="the bundle folder to write")
    main.add_argument(
        "--recipes",
        type=_choices(tuple(RECIPES)),
        help=f"names with commas between, or all ({','.join(DEFAULT)}; with --max-drop all that "
        "need no training)",
    )
    main.add_argument("--formats", type=_choices(FORMATS), default=FORMATS, help="(onnx,tflite)")
    main.add_argument(
        "--finetune-epochs",
        type=_above_zero,
        metavar="N",
        help="passes over the training images for each recipe that trains, such as 0.25 (2)",
    )
    main.add_argument(
        "--max-drop",
        type=_points,
        metavar="POINTS",
        help="write only the cheapest artifact that loses at most so many points of accuracy on "
        "the validation images, and say what was given up for it",
    )
    main.add_argument("--name", help="the bundle's name (that of the folder)")
    main.add_argument("--data", help="where the run's data is now, if it has moved")
    main.add_argument("--overwrite", action="store_true", help="replace the bundle that is there")
    return main


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["explain"]:
        return explain(words[1:])
    args = parser().parse_args(words)
    return run_cli("export", lambda: export(args))


def export(args: argparse.Namespace) -> int:
    require_extra(
        "export", "tensorflow", "tf_keras", "sklearn", "onnx", "tf2onnx", "ai_edge_litert"
    )
    if any(RECIPES[name].finetuning for name in args.recipes or ()):
        require_extra("export", "tensorflow_model_optimization")
    from training.data import load_dataset
    from training.run_folder import load_run

    run = load_run(args.run)
    data = run.record["data"]
    counter = ProgressLine()
    size = tuple(data["shape"][:2])
    dataset = load_dataset(args.data or data["source"], size=size, progress=counter)
    from export.builder import build

    reports = build(
        run,
        dataset,
        args.out,
        name=_slug(args.name or args.out.resolve().name),
        recipes=args.recipes or _default_recipes(bounded=args.max_drop is not None),
        formats=args.formats,
        finetune_epochs=args.finetune_epochs,
        max_drop=args.max_drop,
        overwrite=args.overwrite,
        count=counter,
    )
    counter.clear()
    if args.max_drop is not None:
        _tell_walk(reports, args.max_drop)
    written = [report for report in reports if report.rejection_reason is None]
    refused = [] if args.max_drop is not None else [r for r in reports if r.rejection_reason]
    header = (
        "artifact", "KB", "KB gzip -9", "largest / mean logit difference", "same top-1",
        "test accuracy",
    )  # fmt: skip
    rows = [
        (
            report.name,
            f"{report.size / 1000:.1f}",
            f"{report.compressed / 1000:.1f}",
            f"{report.test.max_difference:.2g} / {report.test.mean_difference:.2g}",
            f"{report.test.same_top1:,} of {report.test.images:,}",
            str(report.test.accuracy),
        )
        for report in [*written, *refused]
        if report.test is not None
    ]
    print(table(header, rows))
    for report in written:
        if "search" in report.settings:
            _tell_search(report)
    for report in refused:
        fail("export", f"{report.name} was not written: {report.rejection_reason}")
    print(f"\nWritten to {args.out}/. Next: tinysight classify --bundle {args.out} PICTURE…")
    return 1 if refused else 0


def _tell_walk(reports: Sequence["Report"], max_drop: float) -> None:
    """What was tried for --max-drop, and why it was passed by."""
    rows = [
        (
            f"{report.name}, {len(report.float_layers)} in float32"
            if report.float_layers
            else report.name,
            f"{report.size / 1000:.1f}",
            f"{report.validation.accuracy.value:.2%}",
            f"{100 * report.drop:+.2f}",
            "chosen" if report.rejection_reason is None else "passed by",
        )
        for report in reports
    ]
    print(table(("tried, cheapest first", "KB", "validation accuracy", "points lost", ""), rows))
    for report in reports:
        if report.rejection_reason is None and report.name.startswith("float32"):
            print(f"{report.name}: nothing cheaper keeps within {100 * max_drop:g} points.")
        elif report.rejection_reason is None and report.float_layers:
            print(f"{report.name} leaves in float32: {', '.join(report.float_layers)}")
    print()


def _tell_search(report: "Report") -> None:
    """What was timed for mixed_measured, and what came of it."""
    from export.search.mixed_precision import explain

    header = ("in float32", "us", "ratio to the best so far (95 %)", "verdict")
    print(f"\n{report.name}, timed whole, in turns:\n")
    print(table(header, explain(report.settings)))
    print(f"\nin float32: {', '.join(report.float_layers) or 'no layer, it is static_w8a8'}")


def _default_recipes(*, bounded: bool) -> tuple[str, ...]:
    if not bounded:
        return DEFAULT
    return tuple(
        name
        for name, recipe in RECIPES.items()
        if recipe.finetuning is None and recipe.arithmetic != "mixed_measured"
    )


def _above_zero(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _points(text: str) -> float:
    """Percentage points as a fraction."""
    value = float(text) / 100
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must lie between 0 and 100")
    return value


def _choices(known: tuple[str, ...]):  # type: ignore[no-untyped-def]
    def parse(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
        if names == ("all",):
            return known
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            what = f"unknown: {', '.join(unknown)}" if unknown else "nothing named"
            raise argparse.ArgumentTypeError(f"{what}; known are {', '.join(known)}")
        return names

    return parse


def _slug(name: str) -> str:
    slug = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in name.lower())
    if not slug.strip("_.-"):
        raise TinysightError(f"{name!r} cannot be a bundle's name: use letters and digits")
    return slug.strip("_.-")
