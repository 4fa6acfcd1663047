"""`python -m training run MODEL`: the imports that take seconds wait until there is work."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from tinysight.console import guarded, need
from training.recipes import RECIPES, Recipe


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="python -m training", description="Train a model on small images."
    )
    commands = main.add_subparsers(title="commands", metavar="COMMAND", required=True)
    run = commands.add_parser(
        "run",
        help="train one model into a run folder",
        description="Trains one model and writes a run folder: run.json (recipe, versions, splits, "
        "accuracies), model.keras, history.csv, curves.png, confusion.png, test_logits.npy.",
        epilog="examples:\n"
        "  python -m training run baseline --out runs/digits\n"
        "  python -m training run baseline --data cifar10 --out runs/cifar\n"
        "  python -m training run baseline --data my_images/ --out runs/mine --epochs 30\n"
        "  python -m training run baseline --data my_images/ --out runs/mine --epochs 30 --resume\n"
        "\nDATA is digits (bundled), cifar10 (downloaded once), or a folder or tar archive with\n"
        "train/<class>/* and perhaps val/<class>/* and test/<class>/*.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("model", choices=sorted(RECIPES), help="which model")
    run.add_argument("--data", default="digits", help="what to train on (digits)")
    run.add_argument("--out", type=Path, required=True, help="the run folder to write")
    run.add_argument("--weights", type=Path, help="VGG16's ImageNet weights (default: download)")
    recipe = run.add_argument_group("recipe", "what differs from the model's own")
    recipe.add_argument("--epochs", type=int, help="passes over the training images")
    recipe.add_argument("--small-epochs", type=int, help="the first of them, on smaller images")
    recipe.add_argument("--batch-size", type=int, help="images a step")
    recipe.add_argument("--learning-rate", type=float, help="of Adam, or the peak of SGD's")
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
    present = run.add_mutually_exclusive_group()
    present.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    present.add_argument("--overwrite", action="store_true", help="replace the run that is there")
    run.set_defaults(run=run_model)
    return main


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    return guarded("training", lambda: int(args.run(args)))


def run_model(args: argparse.Namespace) -> int:
    recipe = _recipe(args)
    need("train", "tensorflow", "tf_keras", "sklearn", "matplotlib", "rich")
    from training.console import Screen
    from training.data import load_dataset

    with Screen() as screen:
        dataset = load_dataset(args.data, progress=screen.progress)
        screen.say_data(dataset)
        from training.train import train  # here, since it takes three seconds

        run = train(
            recipe,
            dataset,
            args.out,
            screen,
            weights=args.weights,
            resume=args.resume,
            overwrite=args.overwrite,
        )
        screen.say_result(run)
    return 0


def _recipe(args: argparse.Namespace) -> Recipe:
    """The model's recipe with what the command line changes in it; exits on a senseless value."""
    changes = {
        field.name: getattr(args, field.name)
        for field in dataclasses.fields(Recipe)
        if field.name != "model" and getattr(args, field.name, None) is not None
    }
    try:
        return dataclasses.replace(RECIPES[args.model], **changes)
    except ValueError as error:
        parser().error(str(error))
