"""`python -m training distill`: `run` with teachers."""

from functools import partial
from pathlib import Path
from typing import Any

from tinysight.console import HelpFormatter
from training.commands.arguments import DATA, add_from, add_training, wrap
from training.commands.defaults import default_help, defaults_table
from training.commands.run import run
from training.recipe_options import add_options
from training.recipes import RECIPES, RUN_ONLY, SPLIT_OF_TEACHER, Recipe


def add(commands: Any) -> None:
    models = sorted(RECIPES.keys() - RUN_ONLY)
    command = commands.add_parser(
        "distill",
        help="train one model on the outputs of finished runs, its teachers",
        description=wrap(
            "Trains a student: a model that learns from the labels and from the logits of one or "
            "more teachers for the same augmented images. Teachers are finished runs on the same "
            "data, whose split the student takes over. Their logits are cached, also for other "
            "students."
        ),
        epilog=f"{defaults_table(models)}\n\nexample:\n"
        "  python -m training run airbench --data my_images/ --out runs/teacher\n"
        "  python -m training distill edge_s --teacher runs/teacher --data my_images/ "
        f"--out runs/mine\n{DATA}",
        formatter_class=HelpFormatter,
    )
    default_of = partial(default_help, models)
    add_training(command, models, default_of, without=SPLIT_OF_TEACHER)
    add_from(command, "none")
    command.add_argument(
        "--teacher", type=Path, nargs="+", required=True, dest="teachers", metavar="RUN",
        help="run folder of the teacher; of several, the mean of their logits is used (required)",
    )  # fmt: skip
    group = command.add_argument_group("distillation", "settings of the distillation")
    add_options(group, Recipe, default_of, distillation=True)
    command.set_defaults(run=run, error=command.error)
