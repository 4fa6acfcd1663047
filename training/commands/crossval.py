"""`python -m training crossval`."""

import argparse
from functools import partial
from typing import Any

from tinysight.console import HelpFormatter
from training.commands.arguments import DATA, FROM, add_from, add_training, wrap
from training.commands.defaults import default_help, defaults_table
from training.commands.jobs import job_of, load, recipe_from, require_training
from training.recipes import DISTILL_ONLY, RECIPES


def add(commands: Any) -> None:
    models = sorted(RECIPES.keys() - DISTILL_ONLY)
    command = commands.add_parser(
        "crossval",
        help="cross-validate one model",
        description=wrap(
            "Trains a model once for each stratified fold of all but the test images, and writes "
            "crossval.json, crossval.md, crossval.png and a run folder for each fold."
        ),
        epilog=f"{defaults_table(models)}\n\nexample:\n"
        f"  python -m training crossval baseline --folds 5 --out runs/cv\n{DATA}",
        formatter_class=HelpFormatter,
    )
    # The folds are the validation parts.
    add_training(command, models, partial(default_help, models), without=("val_fraction",))
    add_from(command, FROM)
    command.add_argument(
        "--folds", type=int, default=5, metavar="N", help="folds, at least 2 (default: 5)"
    )
    command.set_defaults(run=run, error=command.error)


def run(args: argparse.Namespace) -> int:
    recipe_from(args)
    if args.folds < 2:
        args.error(f"argument --folds: must be at least 2, not {args.folds}")
    require_training()
    from training.console import TrainingConsole

    with TrainingConsole() as console:
        dataset = load(args, console)
        from training.crossval import cross_validate

        console.print_gpus()
        summary = cross_validate(job_of(args, dataset, console), console, count=args.folds)
    if summary is None:
        return 0
    print((args.out / "crossval.md").read_text(encoding="utf-8"))
    print(f"Written to {args.out}/: crossval.json, crossval.md, crossval.png, fold-1 …")
    return 0
