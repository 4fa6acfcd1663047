"""`python -m export COMMAND`: see `--help` for what there is."""

import argparse
from collections.abc import Sequence

from export.commands import build, explain, mcu, triton, web
from tinysight.console import run_cli


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="python -m export", description="Make bundles of trained models, and explain them."
    )
    commands = main.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (build, explain, mcu, web, triton):
        module.add(commands)
    return main


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    return run_cli("export", lambda: int(args.run(args)))
