"""`python -m training evaluate`."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinysight.console import HelpFormatter
from tinysight.records import to_json
from training.commands.arguments import DATA, wrap
from training.commands.jobs import require_training


def add(commands: Any) -> None:
    command = commands.add_parser(
        "evaluate",
        help="measure the accuracy of finished runs, each and together",
        description=wrap(
            "Prints the accuracy of finished runs on validation or test images, and that of the "
            "mean of their logits, which is what a student of all of them learns from."
        ),
        epilog="example:\n  python -m training evaluate runs/airbench runs/vgg16 --data cifar10 "
        f"--test-time-augmentation mirror\n{DATA}",
        formatter_class=HelpFormatter,
    )
    command.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="run folder, of the same data and split"
    )
    command.add_argument(
        "--data", default="digits", help="images of the runs, see below (default: digits)"
    )
    command.add_argument(
        "--part", choices=("val", "test"), default="val",
        help="images to evaluate on: validation or test; choose models on val (default: val)",
    )  # fmt: skip
    command.add_argument(
        "--test-time-augmentation", choices=("none", "mirror", "translate"), default="none",
        dest="augmentation",
        help="average logits over the image and its horizontal mirror, as distill does (2 times "
        "the work), and over translations by 1 pixel too (6 times; default: none)",
    )  # fmt: skip
    command.add_argument("--json", action="store_true", help="print JSON (default: a table)")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_training()
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
