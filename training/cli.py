"""`python -m training COMMAND`: see `--help` for what there is.

Imports that take seconds wait for the work.
"""

import argparse
from collections.abc import Sequence

from tinysight.console import run_cli
from training.commands import advise, compare, crossval, distill, evaluate, pack, run, split


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="python -m training",
        description="Train models on small images, to be exported with `python -m export`.",
    )
    commands = main.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (run, distill, crossval, evaluate, compare, split, advise, pack):
        command.add(commands)
    return main


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    return run_cli("training", lambda: int(args.run(args)))
