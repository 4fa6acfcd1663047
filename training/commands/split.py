"""`python -m training split`."""

import argparse
from pathlib import Path
from typing import Any

from tinysight.console import HelpFormatter, require_extra
from training.commands.arguments import DATA, add_size, wrap
from training.commands.jobs import load


def add(commands: Any) -> None:
    command = commands.add_parser(
        "split",
        help="write a data set as class folders, with the held-out test images",
        description=wrap(
            "Writes OUT/train/<class>/*, OUT/test/<class>/* and, where the data has it, "
            "OUT/val/<class>/*: PNG files of the size that is trained on. The test images are "
            "those that `run` holds out of the same data."
        ),
        epilog="example:\n  python -m training split my_images/ --out divided\n"
        "  python -m training run edge_m --data divided --out runs/mine\n"
        f"  tinysight bench --bundle bundles/mine --data divided\n{DATA}",
        formatter_class=HelpFormatter,
    )
    command.add_argument("data", metavar="DATA", help="images, see below")
    command.add_argument("--out", type=Path, required=True, help="folder to write (required)")
    add_size(command)
    command.add_argument(
        "--skip-broken", action="store_true",
        help="leave pictures out that cannot be read (default: fail, and name all of them)",
    )  # fmt: skip
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "sklearn", "rich")
    from training.console import TrainingConsole
    from training.data.write import write_parts

    with TrainingConsole() as console:
        dataset = load(args, console)
        counts = write_parts(dataset, args.out, console.count)
    print(f"Written to {args.out}/: " + ", ".join(f"{n:,} {part}" for part, n in counts.items()))
    return 0
