"""`python -m training COMMAND`: see `--help` for what there is.

Imports that take seconds wait for the work.
"""

import argparse
import dataclasses
import json
import math
import shlex
import sys
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysight.console import HelpFormatter, require_extra, run_cli
from tinysight.records import to_json
from training.commands import advise
from training.conv_stack import STACKS, Stack
from training.recipe_options import add_options, options_of
from training.recipes import (
    DISTILL_ONLY,
    OUTLIERS,
    RECIPES,
    RUN_ONLY,
    Recipe,
    recipe_of,
    with_settings,
)

if TYPE_CHECKING:
    from training.console import TrainingConsole
    from training.data import Dataset
    from training.distillation.teacher import Teacher
    from training.run_folder import Run
    from training.train import Job

_FEW_STEPS = 10
"""Per epoch: with fewer, a short training with large batches hardly learns."""
_DATA = """
DATA is digits (bundled with scikit-learn), cifar10 (downloaded once), or a folder or tar archive
(.tar, .gz, .xz, .bz2; .zst from Python 3.14) of any name: with CIFAR-10's batches, python or binary
format; or with train/<class>/* and optionally val/<class>/* and test/<class>/*; or a folder with
<class>/* alone. Files that are no pictures are left out, and counted."""
_WEIGHTS = (
    "file of VGG16's ImageNet weights without top, .h5 (default: $TINYSIGHT_VGG16_WEIGHTS, or a "
    "download)"
)
_FROM = "the model's name for own images and a model that has weights here, else none"
_TABLE = ("epochs", "batch_size", "optimizer", "learning_rate", "l2", "ema_decay", "cutout")
"""The settings of each model's default recipe that the help shows."""


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="python -m training",
        description="Train models on small images, to be exported with `python -m export`.",
    )
    commands = main.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run(commands)
    _add_distill(commands)
    _add_crossval(commands)
    _add_evaluate(commands)
    _add_compare(commands)
    _add_split(commands)
    advise.add(commands)
    _add_pack(commands)
    return main


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    return run_cli("training", lambda: int(args.run(args)))


def _add_run(commands: Any) -> None:
    models = sorted(RECIPES.keys() - DISTILL_ONLY)
    run = commands.add_parser(
        "run",
        help="train one model on labelled images",
        description=_wrap(
            "Trains one model on labelled images and writes a run folder: run.json (recipe, data, "
            "accuracies, times, versions), model.keras, history.csv, curves.png, confusion.png, "
            "test_logits.npy."
        ),
        epilog=f"{_defaults(models)}\n\nexamples:\n"
        "  python -m training run baseline --out runs/digits\n"
        "  python -m training run edge_s --data cifar10 --out runs/cifar\n"
        "  python -m training run edge_s --data cifar10 --out runs/cifar --resume\n"
        "  python -m training run edge_m --data my_images/ --out runs/mine\n"
        f"  python -m training run edge_m --from runs/mine --data others/ --out runs/more\n{_DATA}",
        formatter_class=HelpFormatter,
    )
    _add_training(run, models, partial(_default_help, models))
    _add_from(run, _FROM)
    run.set_defaults(run=run_model, error=run.error)


def _add_distill(commands: Any) -> None:
    models = sorted(RECIPES.keys() - RUN_ONLY)
    distill = commands.add_parser(
        "distill",
        help="train one model on the outputs of finished runs, its teachers",
        description=_wrap(
            "Trains a student: a model that learns from the labels and from the logits of one or "
            "more teachers for the same augmented images. Teachers are finished runs on the same "
            "data, whose split the student takes over. Their logits are cached, also for other "
            "students."
        ),
        epilog=f"{_defaults(models)}\n\nexample:\n"
        "  python -m training run airbench --data my_images/ --out runs/teacher\n"
        "  python -m training distill edge_s --teacher runs/teacher --data my_images/ "
        f"--out runs/mine\n{_DATA}",
        formatter_class=HelpFormatter,
    )

    def default_of(name: str) -> str:
        own = name != "val_fraction"
        return _default_help(models, name) if own else "that of the first teacher"

    _add_training(distill, models, default_of)
    _add_from(distill, "none")
    distill.add_argument(
        "--teacher", type=Path, nargs="+", required=True, dest="teachers", metavar="RUN",
        help="run folder of the teacher; of several, the mean of their logits is used (required)",
    )  # fmt: skip
    group = distill.add_argument_group("distillation", "settings of the distillation")
    add_options(group, Recipe, partial(_default_help, models), distillation=True)
    distill.set_defaults(run=run_model, error=distill.error)


def _add_crossval(commands: Any) -> None:
    models = sorted(RECIPES.keys() - DISTILL_ONLY)
    crossval = commands.add_parser(
        "crossval",
        help="cross-validate one model",
        description=_wrap(
            "Trains a model once for each stratified fold of all but the test images, and writes "
            "crossval.json, crossval.md, crossval.png and a run folder for each fold."
        ),
        epilog=f"{_defaults(models)}\n\nexample:\n"
        f"  python -m training crossval baseline --folds 5 --out runs/cv\n{_DATA}",
        formatter_class=HelpFormatter,
    )
    _add_training(crossval, models, partial(_default_help, models))
    _add_from(crossval, _FROM)
    crossval.add_argument(
        "--folds", type=int, default=5, metavar="N", help="folds, at least 2 (default: 5)"
    )
    crossval.set_defaults(run=run_crossval, error=crossval.error)


def _add_evaluate(commands: Any) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="measure the accuracy of finished runs, each and together",
        description=_wrap(
            "Prints the accuracy of finished runs on validation or test images, and that of the "
            "mean of their logits, which is what a student of all of them learns from."
        ),
        epilog="example:\n  python -m training evaluate runs/airbench runs/vgg16 --data cifar10 "
        f"--test-time-augmentation mirror\n{_DATA}",
        formatter_class=HelpFormatter,
    )
    evaluate.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="run folder, of the same data and split"
    )
    evaluate.add_argument(
        "--data", default="digits", help="images of the runs, see below (default: digits)"
    )
    evaluate.add_argument(
        "--part", choices=("val", "test"), default="val",
        help="images to evaluate on: validation or test; choose models on val (default: val)",
    )  # fmt: skip
    evaluate.add_argument(
        "--test-time-augmentation", choices=("none", "mirror", "translate"), default="none",
        dest="augmentation",
        help="average logits over the image and its horizontal mirror, as distill does (2 times "
        "the work), and over translations by 1 pixel too (6 times; default: none)",
    )  # fmt: skip
    evaluate.add_argument("--json", action="store_true", help="print JSON (default: a table)")
    evaluate.set_defaults(run=run_evaluate)


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        help="compare a small CNN with VGG16, frozen and fine-tuned, in a report",
        description=_wrap(
            "Trains the baseline, VGG16 frozen with both preprocessings, and VGG16 fine-tuned; "
            "runs that are in RUNS already are kept, or resumed where they were interrupted. Then "
            "writes OUT/report.md with its plots, and OUT/report.html, a single file."
        ),
        epilog=f"example:\n  python -m training compare --data cifar10 --runs runs --out report\n"
        f"{_DATA}",
        formatter_class=HelpFormatter,
    )
    _add_data(compare)
    compare.add_argument(
        "--runs", type=Path, required=True, help="folder of the four run folders (required)"
    )
    compare.add_argument("--out", type=Path, required=True, help="folder of the report (required)")
    compare.set_defaults(run=run_compare)


def _add_split(commands: Any) -> None:
    split = commands.add_parser(
        "split",
        help="write a data set as class folders, with the held-out test images",
        description=_wrap(
            "Writes OUT/train/<class>/*, OUT/test/<class>/* and, where the data has it, "
            "OUT/val/<class>/*: PNG files of the size that is trained on. The test images are "
            "those that `run` holds out of the same data."
        ),
        epilog="example:\n  python -m training split my_images/ --out divided\n"
        "  python -m training run edge_m --data divided --out runs/mine\n"
        f"  tinysight bench bundles/mine --data divided\n{_DATA}",
        formatter_class=HelpFormatter,
    )
    split.add_argument("data", metavar="DATA", help="images, see below")
    split.add_argument("--out", type=Path, required=True, help="folder to write (required)")
    _add_size(split)
    split.add_argument(
        "--skip-broken", action="store_true",
        help="leave pictures out that cannot be read (default: fail, and name all of them)",
    )  # fmt: skip
    split.set_defaults(run=run_split)


def _add_pack(commands: Any) -> None:
    pack = commands.add_parser(
        "pack",
        help="write the weights of a run or a bundle as a small file",
        description=_wrap(
            "Writes the convolutions of a run or a bundle of the edge family as float16 .npz; in "
            "training/weights, such a file is a name for --from."
        ),
        formatter_class=HelpFormatter,
    )
    pack.add_argument("source", metavar="SOURCE", help="run folder, or bundle folder")
    pack.add_argument("--out", type=Path, required=True, help=".npz file to write (required)")
    pack.set_defaults(run=run_pack)


def _add_from(command: argparse.ArgumentParser, default: str) -> None:
    command.add_argument(
        "--from", dest="start", metavar="SOURCE",
        help="weights to start from: a run folder or a bundle of the same model, edge_s or edge_m "
        "for those in this repository, or none for random weights; with weights, the recipe's "
        f"defaults are those of fine-tuning, by the number of images (default: {default})",
    )  # fmt: skip


def _add_training(
    command: argparse.ArgumentParser, models: Sequence[str], default_of: Callable[[str], str]
) -> None:
    """The arguments of every command that trains one model."""
    command.add_argument(
        "model", type=_model(models), metavar="MODEL",
        help=f"{', '.join(models)}; or a stack of 3 x 3 convolutions such as 32s2-48-64s2-64: the "
        "filters of each, with s2 for a stride of 2",
    )  # fmt: skip
    _add_data(command)
    command.add_argument("--out", type=Path, required=True, help="run folder to write (required)")
    existing = command.add_mutually_exclusive_group()
    existing.add_argument(
        "--resume", action="store_const", const="resume", default="fail", dest="if_exists",
        help="where OUT exists, continue after its last finished epoch (default: fail)",
    )  # fmt: skip
    existing.add_argument(
        "--overwrite", action="store_const", const="overwrite", dest="if_exists",
        help="where OUT exists, replace it (default: fail)",
    )  # fmt: skip
    command.add_argument(
        "--unknown", type=Path, metavar="FOLDER",
        help="pictures of no class, such as what else the camera sees: half of the --outliers are "
        f"drawn from them, and {OUTLIERS:g} is the default then (default: all are made)",
    )  # fmt: skip
    group = command.add_argument_group(
        "recipe", "settings of the training; defaults that depend on the model are in a table below"
    )
    add_options(group, Recipe, default_of, distillation=False)


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data", default="digits", help="images to train on, see below (default: digits)"
    )
    command.add_argument(
        "--skip-broken", action="store_true",
        help="leave pictures out that cannot be read (default: fail, and name all of them)",
    )  # fmt: skip
    _add_size(command)
    command.add_argument("--weights", type=Path, metavar="FILE", help=_WEIGHTS)


def _add_size(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--size", type=_side, default=32, metavar="PIXELS",
        help="side of the square that pictures are cropped and resized to, 16 to 256; larger shows "
        "details that are lost at 32, and costs the device its square (default: 32)",
    )  # fmt: skip


def _side(text: str) -> int:
    """A side of the images, for argparse."""
    if not 16 <= (side := int(text)) <= 256:
        raise argparse.ArgumentTypeError("must lie between 16 and 256")
    return side


def _default_help(models: Sequence[str], name: str) -> str:
    """What a help line says of the default of a recipe's field, for these models."""
    by_model = {model: getattr(RECIPES[model], name) for model in models}
    usual = by_model["edge_s"]
    if len(set(by_model.values())) == 1:
        return _show(usual)
    if name in _TABLE:
        return "see below"
    by_value: dict[str, list[str]] = {}
    for model, value in by_model.items():
        if value != usual:
            by_value.setdefault(_show(value), []).append(model)
    others = (f"{value} for {', '.join(names)}" for value, names in by_value.items())
    return "; ".join((_show(usual), *others))


def _defaults(models: Sequence[str]) -> str:
    """A table of the models' default settings."""
    header = ["model", *(name.replace("_", "-") for name in _TABLE)]
    rows = [[model, *(_show(getattr(RECIPES[model], name)) for name in _TABLE)] for model in models]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    return "\n".join(["defaults by model (a stack has those of edge_s):", *lines])


def _wrap(text: str) -> str:
    return textwrap.fill(text, 96)


def _show(value: object) -> str:
    if value is None:  # of --xla alone
        return "on a single GPU that it works on, without --deterministic"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def run_model(args: argparse.Namespace) -> int:
    """`run`, and `distill`, which has teachers."""
    recipe_from(args)  # before seconds of imports: it may be invalid
    _require_training()
    from training.console import TrainingConsole

    with TrainingConsole() as console:
        dataset = _load(args, console)
        from training.train import train  # here, since it takes three seconds

        console.print_gpus()
        job = _job(args, dataset, console)
        run = train(job, console)
        if run is not None:  # else another worker writes it
            console.print_result(run)
            if note := _note_on_teachers(run, job.teachers):
                console.print(note)
    return 0


def run_crossval(args: argparse.Namespace) -> int:
    recipe_from(args)
    if args.folds < 2:
        args.error(f"argument --folds: must be at least 2, not {args.folds}")
    _require_training()
    from training.console import TrainingConsole

    with TrainingConsole() as console:
        dataset = _load(args, console)
        from training.crossval import cross_validate

        console.print_gpus()
        cross_validate(_job(args, dataset, console), console, count=args.folds)
    print((args.out / "crossval.md").read_text(encoding="utf-8"))
    print(f"Written to {args.out}/: crossval.json, crossval.md, crossval.png, fold-1 …")
    return 0


def run_split(args: argparse.Namespace) -> int:
    require_extra("train", "sklearn", "rich")
    from training.console import TrainingConsole
    from training.data.write import write_parts

    with TrainingConsole() as console:
        dataset = _load(args, console)
        counts = write_parts(dataset, args.out, console.count)
    print(f"Written to {args.out}/: " + ", ".join(f"{n:,} {part}" for part, n in counts.items()))
    return 0


def run_pack(args: argparse.Namespace) -> int:
    _require_training()
    from training.pretrained import pack

    pack(args.source, args.out)
    print(f"{args.out}: {args.out.stat().st_size / 1024:,.0f} KB")
    return 0


def run_evaluate(args: argparse.Namespace) -> int:
    _require_training()
    from training.console import TrainingConsole
    from training.data import load_dataset

    with TrainingConsole() as console:
        from training.distillation.teacher import read_teacher
        from training.evaluate import evaluate

        runs = [read_teacher(folder) for folder in args.runs]
        size = runs[0].run.record.data.shape[:2]
        dataset = load_dataset(args.data, size=size, skip_broken=True, progress=console.count)
        rows = evaluate(runs, dataset, args.part, args.augmentation, console.count)
    if args.json:
        print(json.dumps([to_json(row) for row in rows], indent=2))
        return 0
    width = max(len(row.name) for row in rows)
    for row in rows:
        low, high = row.accuracy.interval
        print(f"{row.name:{width}}  {row.accuracy.value:.2%} [{low:.2%}, {high:.2%}]")
    print(f"n = {rows[0].accuracy.n:,} {'validation' if args.part == 'val' else 'test'} images")
    return 0


def run_compare(args: argparse.Namespace) -> int:
    _require_training()
    from training.console import TrainingConsole

    with TrainingConsole() as console:
        dataset = _load(args, console)
        from training.compare.report import write_report
        from training.compare.runs import run_all

        console.print_gpus()
        runs = run_all(dataset, args.runs, console, args.weights)
        command = f"python -m training compare {shlex.join(_without_folders(sys.argv[2:]))}"
        write_report(runs, dataset, args.out, command)
    print(f"Written to {args.out}/: report.html (a single file), report.md and its plots")
    return 0


def _load(args: argparse.Namespace, console: "TrainingConsole") -> "Dataset":
    """The images that `_add_data` names, which are told."""
    from training.data import load_dataset

    size = (args.size, args.size)
    dataset = load_dataset(
        args.data, size=size, skip_broken=args.skip_broken, progress=console.count
    )
    console.print_dataset(dataset)
    return dataset


def _job(args: argparse.Namespace, dataset: "Dataset", console: "TrainingConsole") -> "Job":
    from training.api import prepare
    from training.pretrained import SHIPPED
    from training.run_folder import load_run

    start = args.start
    teachers = [load_run(folder) for folder in getattr(args, "teachers", [])]
    try:
        job = prepare(
            args.model, dataset, args.out,
            start=start, teachers=teachers, unknown=args.unknown, **_settings(args),
        )  # fmt: skip
    except ValueError as error:
        args.error(str(error))
    if job.pretrained is not None:
        source = start or args.model
        trained_on = f"{source}'s weights, trained on CIFAR-10" if source in SHIPPED else source
        console.print(f"Starting from {trained_on}; --from none starts at random.")
        if job.recipe.augment and not job.recipe.flip and args.flip is None:
            console.print(
                "In the mirror, your training pictures are recognized significantly less: none is "
                "flipped. --flip flips."
            )
    for note in (_note_on_work(args.model, dataset), _note_on_steps(job.recipe, dataset)):
        if note:
            console.print(note)
    return dataclasses.replace(job, weights=args.weights, if_exists=args.if_exists)


def _model(models: Sequence[str]) -> Callable[[str], str]:
    """An argparse type: one of these names, or a stack."""

    def parse(text: str) -> str:
        if text not in models:
            try:
                Stack.parse(text)
            except ValueError:
                raise argparse.ArgumentTypeError(
                    f"invalid choice: {text!r}; choose from {', '.join(models)}, or a stack"
                ) from None
        return text

    return parse


def _note_on_work(model: str, dataset: "Dataset") -> str | None:
    """What an image costs a device, which grows with its area; of the edge family and stacks."""
    try:
        stack = STACKS[model] if model in STACKS else Stack.parse(model)
    except ValueError:
        return None
    height, width = dataset.images.shape[1:3]
    macs = stack.multiply_accumulates(height, width, len(dataset.labels))
    return f"{model} at {height} x {width}: {macs / 1e6:.1f} million multiply-accumulates an image."


def _note_on_steps(recipe: Recipe, dataset: "Dataset") -> str | None:
    """A hint where an epoch has very few steps; the recipes were tuned on 45,000 images."""
    if recipe.pretrained is not None:  # its recipe follows from the number of images
        return None
    own_val = "val" in dataset.parts
    images = len(dataset.parts["train"]) * (1 if own_val else 1 - recipe.val_fraction)
    steps = math.ceil(images / recipe.batch_size)
    if steps >= _FEW_STEPS:
        return None
    return (
        f"Note: an epoch has {steps} step{'s' * (steps > 1)} of {recipe.batch_size} images. With "
        "so few, a smaller --batch-size with a proportionally smaller --learning-rate may be more "
        "accurate."
    )


def _note_on_teachers(run: "Run", teachers: Sequence["Teacher"]) -> str | None:
    """A warning where a student has nothing to learn: a teacher is no better than itself."""
    own = run.result.validation
    for teacher in teachers:
        accuracy = teacher.run.result.validation
        if accuracy.value <= own.value:
            return (
                f"Warning: the teacher {teacher.run.folder} is not better than its student on "
                f"validation ({accuracy.value:.2%} against {own.value:.2%}): `python -m training "
                "run`, without a teacher, may be as good."
            )
    return None


def _require_training() -> None:
    require_extra("train", "tensorflow", "tf_keras", "sklearn", "matplotlib", "rich", "markdown_it")


def _without_folders(words: Sequence[str]) -> list[str]:
    """The words of a command, without the folders in which files are on this machine."""
    return [Path(word).name if Path(word).is_file() else word for word in words]


def recipe_from(args: argparse.Namespace) -> Recipe:
    """The model's default recipe with the changes of the command line; exits on an invalid value.

    Args:
        args: of `run`, `distill` or `crossval`.
    """
    try:
        return with_settings(recipe_of(args.model), _settings(args))
    except ValueError as error:
        args.error(str(error))
        raise AssertionError from None  # argparse has exited


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """The recipe's fields that the command line names."""
    return {
        field.name: value
        for field, _ in options_of(Recipe)
        if (value := getattr(args, field.name, None)) is not None
    }
