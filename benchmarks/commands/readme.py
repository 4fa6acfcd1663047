"""`python -m benchmarks readme`."""

import argparse
from pathlib import Path
from typing import Any

from tinysight.errors import TinysightError


def add(commands: Any) -> None:
    command = commands.add_parser(
        "readme",
        help="write the figures of benchmarks/results into the README",
        description="Updates what stands between <!-- figures:… --> and <!-- end --> in a text. "
        "benchmarks/publish/readme_figures.py lists the figures.",
    )
    command.add_argument(
        "file",
        nargs="?",
        type=Path,
        default=Path("README.md"),
        metavar="FILE",
        help="Markdown file to update (default: README.md)",
    )
    command.add_argument(
        "--check",
        action="store_true",
        help="change nothing; exit code 1 when a figure differs from the results",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from benchmarks.publish.readme_figures import update_figures
    from tinysight.files import write_bytes

    old = args.file.read_text(encoding="utf-8")
    new = update_figures(old)
    if old == new:
        print(f"{args.file} has the figures of the results")
    elif args.check:
        raise TinysightError(
            f"{args.file} has other figures than benchmarks/results: "
            "`python -m benchmarks readme` updates them"
        )
    else:
        write_bytes(args.file, new.encode())
        print(f"{args.file} updated")
    return 0
