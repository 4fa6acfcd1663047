"""`python -m training run | distill | crossval | compare`.

Imports that take seconds wait for the work.
"""

import argparse
import dataclasses
import math
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysight.console import require_extra, run_cli
from training.conv_stack import Stack
from training.recipes import DISTILL_ONLY, RECIPES, Recipe, recipe_of

if TYPE_CHECKING:
    from training.data import Dataset

_FEW_STEPS = 10
"""In an epoch: with fewer, a large batch leaves a short training hardly any."""
_DATA_HELP = """
DATA is digits (bundled), cifar10 (downloaded once), or a folder or tar archive with
train/<class>/* and perhaps val/<class>/* and test/<class>/*."""


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="python -m training", description="Train models on small images."
    )
    commands = main.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run(commands)
    _add_distill(commands)
    _add_crossval(commands)
    _add_compare(commands)
    return main


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    return run_cli("training", lambda: int(args.run(args)))


def _add_run(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="train one model into a run folder",
        description="Trains one model and writes a run folder: run.json (recipe, versions, splits, "
        "accuracies), model.keras, history.csv, curves.png, confusion.png, test_logits.npy.",
        epilog="examples:\n"
        "  python -m training run baseline --out runs/digits\n"
        "  python -m training run baseline --data cifar10 --out runs/cifar\n"
        "  python -m training run vgg16_finetuned --data my_images/ --out runs/mine\n"
        f"  python -m training run vgg16_finetuned --data my_images/ --out runs/mine --resume\n"
        f"{_DATA_HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_training(run, sorted(RECIPES.keys() - DISTILL_ONLY))
    run.set_defaults(run=run_model)


def _add_distill(commands: Any) -> None:
    distill = commands.add_parser(
        "distill",
        help="train one model, taught by a finished run",
        description="Trains a model like `run`, from the labels and from what a teacher answers to "
        "the same augmented images. A teacher is a finished run on the same data, whose split the "
        "student takes over. Its answers are kept in the cache, for other students too.",
        epilog="example:\n"
        "  python -m training run airbench --data my_images/ --out runs/teacher\n"
        "  python -m training distill edge_s --teacher runs/teacher --data my_images/ "
        f"--out runs/mine\n{_DATA_HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    recipe = _add_training(distill, sorted(model for model in RECIPES if model != "vgg16_frozen"))
    distill.add_argument(
        "--teacher", type=Path, nargs="+", required=True, dest="teachers", metavar="RUN",
        help="the folder of its run; of several, the mean of their answers is taught",
    )  # fmt: skip
    recipe.add_argument("--mixed", type=float, help="part of the images blended with another")
    recipe.add_argument("--temperature", type=float, help="that softens the answers of both")
    recipe.add_argument("--teacher-weight", type=float, help="in the loss, the labels' is the rest")
    recipe.add_argument("--copies", type=int, help="augmented copies that the teacher answers for")
    distill.set_defaults(run=run_model)


def _add_crossval(commands: Any) -> None:
    crossval = commands.add_parser(
        "crossval",
        help="cross-validate one model",
        description="Trains a model once for each stratified fold of all but the test images, and "
        "writes crossval.json, crossval.md and crossval.png. --resume goes on fold by fold.",
        epilog=f"example:\n  python -m training crossval baseline --folds 5 --out runs/cv\n"
        f"{_DATA_HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_training(crossval, sorted(RECIPES.keys() - DISTILL_ONLY))
    crossval.add_argument("--folds", type=int, default=5, help="how many (5)")
    crossval.set_defaults(run=run_crossval)


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        help="small CNN against VGG16, frozen and fine-tuned: a report",
        description="Trains the baseline, VGG16 frozen with both preprocessings, and VGG16 "
        "fine-tuned, or picks up what is finished or was interrupted in RUNS; then writes "
        "OUT/report.md with its pictures, and OUT/report.html, which is complete in itself.",
        epilog=f"example:\n  python -m training compare --data cifar10 --runs runs --out report\n"
        f"{_DATA_HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.add_argument("--data", default="digits", help="what to train on (digits)")
    compare.add_argument("--runs", type=Path, required=True, help="the folder of the four runs")
    compare.add_argument("--out", type=Path, required=True, help="the folder of the report")
    compare.add_argument("--weights", type=Path, help="VGG16's ImageNet weights (downloads them)")
    compare.set_defaults(run=run_compare)


def _add_training(command: argparse.ArgumentParser, models: Sequence[str]) -> Any:
    """What every training takes; returns the group of the recipe's settings."""
    command.add_argument(
        "model", type=_model(models), metavar="MODEL",
        help=f"{', '.join(models)}; or a stack of 3 x 3 convolutions, such as 32s2-48-64s2-64: "
        "their filters, and s2 where the image is halved",
    )  # fmt: skip
    command.add_argument("--data", default="digits", help="what to train on (digits)")
    command.add_argument("--out", type=Path, required=True, help="the folder to write")
    command.add_argument("--weights", type=Path, help="VGG16's ImageNet weights (downloads them)")
    present = command.add_mutually_exclusive_group()
    present.add_argument("--resume", action="store_true", help="go on with what was stopped")
    present.add_argument("--overwrite", action="store_true", help="replace what is there")
    recipe = command.add_argument_group("recipe", "what shall differ from the model's own")
    recipe.add_argument("--epochs", type=int, help="passes over the training images")
    recipe.add_argument("--small-epochs", type=int, help="the first of them, on smaller images")
    recipe.add_argument("--cutout", type=float, help="part of the side that is erased, 0 for none")
    recipe.add_argument("--average", type=float, help="of the weights, kept by a step, 0 for none")
    recipe.add_argument("--batch-size", type=int, help="images a step, over all devices")
    recipe.add_argument(
        "--optimizer", choices=("adam", "sgd", "muon"),
        help="muon where batch normalization follows every convolution",
    )  # fmt: skip
    recipe.add_argument("--learning-rate", type=float, help="of Adam, or the others' peak")
    recipe.add_argument("--l2", type=float, help="penalty on kernels, 0 for none; muon needs none")
    recipe.add_argument("--val-fraction", type=float, help="of the training images")
    recipe.add_argument("--seed", type=int, help="split, weights, order, augmentation, dropout")
    recipe.add_argument("--preprocessing", choices=("unit", "imagenet"), help="for vgg16_frozen")
    recipe.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16", "float16"), help="of the arithmetic"
    )
    recipe.add_argument("--xla", action="store_true", default=None, help="compile the step")
    recipe.add_argument(
        "--deterministic", action="store_true", default=None, help="bit-identical, but slower"
    )
    return recipe


def run_model(args: argparse.Namespace) -> int:
    """`run`, and `distill`, which names a teacher."""
    recipe = _recipe(args)
    _need_training()
    from training.console import TrainingConsole
    from training.data import load_dataset

    with TrainingConsole() as screen:
        dataset = load_dataset(args.data, progress=screen.count)
        screen.say_data(dataset)
        if note := _note_on_steps(recipe, dataset):
            screen.say(note)
        from training.distillation.teacher import (  # here, since it takes three seconds
            read_teacher,
            student_recipe,
        )
        from training.train import train

        teachers = [read_teacher(folder) for folder in getattr(args, "teachers", ())]
        if teachers:
            recipe = student_recipe(recipe, teachers, val_fraction=args.val_fraction)
        run = train(
            recipe,
            dataset,
            args.out,
            screen,
            weights=args.weights,
            teachers=teachers,
            resume=args.resume,
            overwrite=args.overwrite,
        )
        if run is not None:  # else another worker writes it
            screen.say_result(run)
    return 0


def run_crossval(args: argparse.Namespace) -> int:
    recipe = _recipe(args)
    if args.folds < 2:
        parser().error("cross-validation needs at least 2 folds")
    _need_training()
    from training.console import TrainingConsole
    from training.data import load_dataset

    with TrainingConsole() as screen:
        dataset = load_dataset(args.data, progress=screen.count)
        screen.say_data(dataset)
        from training.crossval import cross_validate

        cross_validate(
            recipe,
            dataset,
            args.out,
            screen,
            count=args.folds,
            weights=args.weights,
            resume=args.resume,
            overwrite=args.overwrite,
        )
    print((args.out / "crossval.md").read_text(encoding="utf-8"))
    print(f"Written to {args.out}/: crossval.json, crossval.md, crossval.png, fold-1 …")
    return 0


def run_compare(args: argparse.Namespace) -> int:
    _need_training()
    from training.console import TrainingConsole
    from training.data import load_dataset

    with TrainingConsole() as screen:
        dataset = load_dataset(args.data, progress=screen.count)
        screen.say_data(dataset)
        from training.compare.report import write_report
        from training.compare.runs import run_all

        entries = run_all(dataset, args.runs, screen, screen.say, args.weights)
        command = f"python -m training compare {shlex.join(_shown(sys.argv[2:]))}"
        write_report(entries, dataset, args.out, command)
    print(f"Written to {args.out}/: report.html (complete in itself), report.md and its pictures")
    return 0


def _model(models: Sequence[str]) -> Callable[[str], str]:
    """One of these, or a stack, for argparse."""

    def parse(text: str) -> str:
        if text not in models:
            try:
                Stack.parse(text)
            except ValueError:
                raise argparse.ArgumentTypeError(
                    f"invalid choice: {text!r}; there are {', '.join(models)}, and stacks"
                ) from None
        return text

    return parse


def _note_on_steps(recipe: Recipe, dataset: "Dataset") -> str | None:
    """A hint where an epoch has very few steps; recipes were found on 45,000 images."""
    own_val = "val" in dataset.parts
    images = len(dataset.parts["train"]) * (1 if own_val else 1 - recipe.val_fraction)
    steps = math.ceil(images / recipe.batch_size)
    if steps >= _FEW_STEPS:
        return None
    return (
        f"Note: an epoch has {steps} step{'s' * (steps > 1)} of {recipe.batch_size} images. With "
        "so few, a smaller --batch-size, and a --learning-rate smaller by as much, may learn more."
    )


def _need_training() -> None:
    require_extra("train", "tensorflow", "tf_keras", "sklearn", "matplotlib", "rich", "markdown_it")


def _shown(words: Sequence[str]) -> list[str]:
    """The words of a command, without the folders in which files lie on this machine."""
    return [Path(word).name if Path(word).is_file() else word for word in words]


def _recipe(args: argparse.Namespace) -> Recipe:
    """The model's recipe with what the command line changes in it; exits on a senseless value."""
    changes = {
        field.name: value
        for field in dataclasses.fields(Recipe)
        if field.name not in ("model", "teacher")
        and (value := getattr(args, field.name, None)) is not None
    }
    try:
        return dataclasses.replace(recipe_of(args.model), **changes)
    except ValueError as error:
        parser().error(str(error))
