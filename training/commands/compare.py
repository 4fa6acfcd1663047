"""`python -m training compare`."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinysight.console import HelpFormatter
from training.commands.arguments import DATA, add_data, wrap
from training.commands.jobs import load, require_training


def add(commands: Any) -> None:
    command = commands.add_parser(
        "compare",
        help="compare a small CNN with VGG16, frozen and fine-tuned, in a report",
        description=wrap(
            "Trains the baseline, VGG16 frozen with both preprocessings, and VGG16 fine-tuned; "
            "runs that are in RUNS already are kept, or resumed where they were interrupted. Then "
            "writes OUT/report.md with its plots, and OUT/report.html, a single file."
        ),
        epilog=f"example:\n  python -m training compare --data cifar10 --runs runs --out report\n"
        f"{DATA}",
        formatter_class=HelpFormatter,
    )
    add_data(command)
    command.add_argument(
        "--runs", type=Path, required=True, help="folder of the four run folders (required)"
    )
    command.add_argument("--out", type=Path, required=True, help="folder of the report (required)")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_training()
    from training.console import TrainingConsole

    with TrainingConsole() as console:
        dataset = load(args, console)
        from training.compare.report import write_report
        from training.compare.runs import run_all

        console.print_gpus()
        runs = run_all(dataset, args.runs, console, args.weights)
        command = f"python -m training compare {shlex.join(_without_folders(sys.argv[2:]))}"
        write_report(runs, dataset, args.out, command)
    print(f"Written to {args.out}/: report.html (a single file), report.md and its plots")
    return 0


def _without_folders(words: Sequence[str]) -> list[str]:
    """The words of a command, without the folders in which files are on this machine."""
    return [Path(word).name if Path(word).is_file() else word for word in words]
