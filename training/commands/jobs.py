"""From the command line to what is trained: data, recipe, job."""

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from tinysight.console import require_extra
from training.commands.notes import note_on_steps, note_on_work
from training.recipe_options import options_of
from training.recipes import Recipe, recipe_of, with_settings

if TYPE_CHECKING:
    from training.console import TrainingConsole
    from training.data import Dataset
    from training.train import Job


def require_training() -> None:
    require_extra("train", "tensorflow", "tf_keras", "sklearn", "matplotlib", "rich", "markdown_it")


def recipe_from(args: argparse.Namespace) -> Recipe:
    """The model's default recipe with the changes of the command line; exits on an invalid value.

    Args:
        args: of `run`, `distill` or `crossval`.
    """
    try:
        return with_settings(recipe_of(args.model), settings_of(args))
    except ValueError as error:
        args.error(str(error))
        raise AssertionError from None  # argparse has exited


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """The recipe's fields that the command line names."""
    return {
        field.name: value
        for field, _ in options_of(Recipe)
        if (value := getattr(args, field.name, None)) is not None
    }


def load(args: argparse.Namespace, console: "TrainingConsole") -> "Dataset":
    """The images that `_add_data` names, which are told."""
    from training.data import load_dataset

    size = (args.size, args.size)
    dataset = load_dataset(
        args.data, size=size, skip_broken=args.skip_broken, progress=console.count
    )
    console.print_dataset(dataset)
    return dataset


def job_of(args: argparse.Namespace, dataset: "Dataset", console: "TrainingConsole") -> "Job":
    from training.api import prepare
    from training.pretrained import SHIPPED
    from training.run_folder import load_run

    start = args.start
    teachers = [load_run(folder) for folder in getattr(args, "teachers", [])]
    try:
        job = prepare(
            args.model, dataset, args.out,
            start=start, teachers=teachers, unknown=args.unknown, **settings_of(args),
        )  # fmt: skip
    except ValueError as error:
        args.error(str(error))
    if job.pretrained is not None:
        source = start or args.model
        trained_on = f"{source}'s weights, trained on CIFAR-10" if source in SHIPPED else source
        if job.pretrained.head_of(dataset.labels) is not None:
            trained_on += ", the last layer of these classes included"
        console.print(f"Starting from {trained_on}; --from none starts at random.")
        if job.recipe.augment and not job.recipe.flip and args.flip is None:
            console.print(
                "In the mirror, your training pictures are recognized significantly less: none is "
                "flipped. --flip flips."
            )
    for note in (note_on_work(args.model, dataset), note_on_steps(job.recipe, dataset)):
        if note:
            console.print(note)
    return dataclasses.replace(job, weights=args.weights, if_exists=args.if_exists)
