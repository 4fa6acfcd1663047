"""`tinysight classify | info | verify | bench | tune | select`."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version

from tinysight.cli import bench, classify, info, select, tune, verify
from tinysight.console import run_cli


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="tinysight", description="Classify small images on a small device."
    )
    main.add_argument("--version", action="version", version=version("tinysight"))
    commands = main.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (classify, info, verify, bench, tune, select):
        module.add(commands)
    return main


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    return run_cli("tinysight", lambda: int(args.run(args)))


if __name__ == "__main__":
    sys.exit(main())
