"""`python -m training run`."""

import argparse
from functools import partial
from typing import Any

from tinysight.console import HelpFormatter
from training.commands.arguments import DATA, FROM, add_from, add_training, wrap
from training.commands.defaults import default_help, defaults_table
from training.commands.jobs import job_of, load, recipe_from, require_training
from training.commands.notes import note_on_teachers
from training.recipes import DISTILL_ONLY, RECIPES


def add(commands: Any) -> None:
    models = sorted(RECIPES.keys() - DISTILL_ONLY)
    command = commands.add_parser(
        "run",
        help="train one model on labelled images",
        description=wrap(
            "Trains one model on labelled images and writes a run folder: run.json (recipe, data, "
            "accuracies, times, versions), model.keras, history.csv, curves.png, confusion.png, "
            "test_logits.npy."
        ),
        epilog=f"{defaults_table(models)}\n\nexamples:\n"
        "  python -m training run baseline --out runs/digits\n"
        "  python -m training run edge_s --data cifar10 --out runs/cifar\n"
        "  python -m training run edge_s --data cifar10 --out runs/cifar --resume\n"
        "  python -m training run edge_m --data my_images/ --out runs/mine\n"
        f"  python -m training run edge_m --from runs/mine --data others/ --out runs/more\n{DATA}",
        formatter_class=HelpFormatter,
    )
    add_training(command, models, partial(default_help, models))
    add_from(command, FROM)
    command.set_defaults(run=run, error=command.error)


def run(args: argparse.Namespace) -> int:
    """`run`, and `distill`, which has teachers."""
    recipe_from(args)  # before seconds of imports: it may be invalid
    require_training()
    from training.console import TrainingConsole

    with TrainingConsole() as console:
        dataset = load(args, console)
        from training.train import train  # here, since it takes three seconds

        console.print_gpus()
        job = job_of(args, dataset, console)
        run = train(job, console)
        if run is not None:  # else another worker writes it
            console.print_result(run)
            if note := note_on_teachers(run, job.teachers):
                console.print(note)
    return 0
