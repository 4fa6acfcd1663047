"""`python -m training pack`."""

import argparse
from pathlib import Path
from typing import Any

from tinysight.console import HelpFormatter
from training.commands.arguments import wrap
from training.commands.jobs import require_training


def add(commands: Any) -> None:
    command = commands.add_parser(
        "pack",
        help="write the weights of a run or a bundle as a small file",
        description=wrap(
            "Writes the layers of a run or a bundle of the edge family as float16 .npz; in "
            "training/weights, such a file is a name for --from."
        ),
        formatter_class=HelpFormatter,
    )
    command.add_argument("source", metavar="SOURCE", help="run folder, or bundle folder")
    command.add_argument("--out", type=Path, required=True, help=".npz file to write (required)")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_training()
    from training.pretrained import pack

    pack(args.source, args.out)
    print(f"{args.out}: {args.out.stat().st_size / 1024:,.0f} KB")
    return 0
