"""`python -m export build RUN --out BUNDLE`."""

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from export.recipes import DEFAULT, FORMATS, RECIPES, Format
from tinysight.console import (
    HelpFormatter,
    fail,
    require_extra,
    shell_command,
    table,
)

if TYPE_CHECKING:
    from export.builder import CandidateReport

_Name = TypeVar("_Name", bound=str)

_HEADER = (
    "artifact", "KB", "KB gzip -9", "max / mean logit difference", "same top-1", "test accuracy",
)  # fmt: skip


def add(commands: Any) -> None:
    command = commands.add_parser(
        "build",
        help="convert a finished run to ONNX and TFLite, and write a bundle",
        description="Makes a bundle of a finished run: converts the model by every recipe to ONNX "
        "and TFLite,\ncompares each artifact with the trained model on real images, and writes "
        "those that are near\nenough. Exit code 1 when one was not.",
        epilog=_epilog(),
        formatter_class=HelpFormatter,
    )
    command.add_argument(
        "folder", type=Path, metavar="RUN", help="run folder that `python -m training` wrote"
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="BUNDLE", help="bundle folder to write"
    )
    command.add_argument(
        "--recipes",
        type=_names(tuple(RECIPES)),
        metavar="NAME,…",
        help=f"recipe names separated by commas, or all (default: {','.join(DEFAULT)}; with "
        "--max-accuracy-drop all that do not fine-tune)",
    )
    command.add_argument(
        "--formats",
        type=_formats,
        default=FORMATS,
        metavar="NAME,…",
        help="model formats separated by commas, of onnx, which every bundle needs, and tflite "
        "(default: onnx,tflite)",
    )
    command.add_argument(
        "--finetune-epochs",
        type=_positive_float,
        metavar="N",
        help="passes over the training images for each recipe that fine-tunes, above 0, such as "
        "0.25 (default: 2)",
    )
    command.add_argument(
        "--max-accuracy-drop",
        type=_points,
        metavar="POINTS",
        help="largest loss of accuracy on the validation images, in percentage points, in "
        "[0, 100]: of each format, only the cheapest artifact within it is written; with less than "
        "1,000 validation images a larger loss counts where it is significant (default: none, "
        "every recipe is written)",
    )
    command.add_argument(
        "--name",
        help="name of the bundle: letters, digits, _ . - (default: the name of the bundle folder)",
    )
    command.add_argument(
        "--data",
        metavar="SOURCE",
        help="data set that the run was trained on: name, folder or archive (default: where the "
        "run found it)",
    )
    command.add_argument(
        "--overwrite", action="store_true", help="replace an existing bundle (default: refuse)"
    )
    command.set_defaults(run=run, error=command.error)


def _epilog() -> str:
    """The recipes and some examples, for --help."""
    recipes = "".join(
        f"  {name + (' *' if recipe.finetuning else ''):24}{recipe.summary}\n"
        for name, recipe in RECIPES.items()
    )
    return (
        f"recipes (those with * fine-tune the model for some minutes):\n{recipes}"
        "\nexamples:\n"
        "  python -m export build runs/cifar --out bundles/cifar\n"
        "  python -m export build runs/cifar --recipes all --finetune-epochs 0.5 "
        "--out bundles/cifar\n"
        "  python -m export build runs/cifar --max-accuracy-drop 0.5 --out bundles/cifar"
    )


def run(args: argparse.Namespace) -> int:
    bounded = args.max_accuracy_drop is not None
    if bounded and args.recipes == tuple(RECIPES):  # all: those that can be bound
        args.recipes = tuple(name for name in args.recipes if name != "mixed_measured")
    if bounded and "mixed_measured" in (args.recipes or ()):
        args.error(
            "argument --max-accuracy-drop: not allowed with the recipe mixed_measured, which is "
            "chosen by its speed"
        )
    require_extra(
        "export", "tensorflow", "tf_keras", "sklearn", "onnx", "tf2onnx", "ai_edge_litert"
    )
    if any(RECIPES[name].finetuning for name in args.recipes or ()):
        require_extra("export", "tensorflow_model_optimization")
    from training.run_folder import load_run

    finished = load_run(args.folder)
    from export.api import build  # late: it takes seconds

    reports = build(
        finished,
        args.out,
        data=args.data,
        name=args.name or "",
        recipes=args.recipes or (),
        formats=args.formats,
        finetune_epochs=args.finetune_epochs,
        max_accuracy_drop=args.max_accuracy_drop,
        overwrite=args.overwrite,
    ).reports
    if bounded:
        _print_search(reports, args.max_accuracy_drop)
    written = [report for report in reports if report.rejection_reason is None]
    rejected = [] if bounded else [r for r in reports if r.rejection_reason is not None]
    print(table(_HEADER, [_row(report) for report in [*written, *rejected] if report.test]))
    for report in written:
        if report.settings.timing_trials:
            _print_timing(report)
    for report in rejected:
        fail("export", f"{report.name} was not written: {report.rejection_reason}")
    verify = shell_command("tinysight", "verify", "--bundle", args.out)
    print(f"\nWritten to {args.out}/. Next: {verify}")
    return 1 if rejected else 0


def _row(report: "CandidateReport") -> tuple[str, ...]:
    test = report.test
    assert test is not None
    return (
        report.name,
        f"{report.bytes / 1000:.1f}",
        f"{report.compressed_bytes / 1000:.1f}",
        f"{test.max_difference:.2g} / {test.mean_difference:.2g}",
        f"{test.same_top1:,} of {test.images:,}",
        str(test.accuracy),
    )


def _print_search(reports: Sequence["CandidateReport"], max_accuracy_drop: float) -> None:
    """What was evaluated for --max-accuracy-drop, and what was rejected."""
    rows = [
        (
            f"{report.name}, {len(report.settings.float_layers)} in float32"
            if report.settings.float_layers
            else report.name,
            f"{report.bytes / 1000:.1f}",
            f"{report.validation.accuracy.value:.2%}",
            f"{100 * report.accuracy_drop:+.2f}",
            "chosen" if report.rejection_reason is None else "rejected",
        )
        for report in reports
    ]
    header = ("candidates, cheapest first", "KB", "validation accuracy", "points lost", "verdict")
    print(table(header, rows))
    for report in reports:
        if report.rejection_reason is None and report.name.startswith("float32"):
            points = f"{100 * max_accuracy_drop:g}"
            print(f"{report.name}: nothing cheaper keeps within {points} points.")
        elif report.rejection_reason is None and report.settings.float_layers:
            print(f"{report.name} leaves in float32: {', '.join(report.settings.float_layers)}")
    print()


def _print_timing(report: "CandidateReport") -> None:
    """What was timed for mixed_measured, and what was chosen."""
    from export.search.mixed_precision import trial_rows

    header = ("in float32", "us", "ratio to the best so far (95 %)", "verdict")
    print(f"\n{report.name}, whole graphs, interleaved:\n")
    print(table(header, trial_rows(report.settings.timing_trials)))
    layers = ", ".join(report.settings.float_layers)
    print(f"\nin float32: {layers or 'no layer, it is static_w8a8'}")


def _positive_float(text: str) -> float:
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


def _formats(text: str) -> tuple[Format, ...]:
    """The formats that are named, ONNX among them: a bundle's default artifact is one."""
    named = _names(FORMATS)(text)
    if "onnx" not in named:
        raise argparse.ArgumentTypeError("onnx is needed too, for the bundle's default artifact")
    return named


def _names(known: tuple[_Name, ...]) -> Callable[[str], tuple[_Name, ...]]:
    """A parser of known names between commas, each once; `all` means all of them."""

    def parse(text: str) -> tuple[_Name, ...]:
        words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
        if words == ["all"]:
            return known
        by_name = {str(name): name for name in known}
        unknown = [word for word in words if word not in by_name]
        if unknown or not words:
            what = f"unknown: {', '.join(unknown)}" if unknown else "nothing named"
            raise argparse.ArgumentTypeError(f"{what}; known are {', '.join(known)}")
        return tuple(by_name[word] for word in words)

    return parse
