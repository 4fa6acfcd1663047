"""`python -m benchmarks COMMAND`: see `--help` for what there is."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from tinysight.console import run_cli

COMMANDS = (
    "sweep",
    "compare",
    "report",
    "toolchains",
    "search",
    "resampling",
    "ood",
    "transfer",
    "overhead",
    "startup",
    "files",
    "training",
    "gpu",
    "camera",
    "mcu",
    "emulators",
    "saturation",
    "browser",
    "model-card",
    "readme",
    "demo",
)
"""Each is a module of `benchmarks.commands`, in the order of `--help`."""


def parser(commands: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The parser of these commands, whose modules are imported for it."""
    main = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure bundles on this machine."
    )
    subparsers = main.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in commands:
        module = importlib.import_module(f"benchmarks.commands.{command.replace('-', '_')}")
        module.add(subparsers)
    return main


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    # The named command alone; all of them for --help and for the message on an unknown one.
    named = [command for command in COMMANDS if command in arguments[:1]]
    args = parser(named or COMMANDS).parse_args(arguments)
    return run_cli("benchmarks", lambda: int(args.run(args)))
