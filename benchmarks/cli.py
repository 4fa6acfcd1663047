"""`python -m benchmarks COMMAND`: see `--help` for what there is."""

import argparse
from collections.abc import Sequence

from benchmarks.commands import (
    card,
    compare,
    demo,
    overhead,
    photos,
    readme,
    report,
    search,
    strangers,
    sweep,
    toolchains,
)
from tinysight.console import run_cli


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure bundles on this machine."
    )
    commands = main.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (
        toolchains,
        sweep,
        compare,
        report,
        readme,
        overhead,
        search,
        photos,
        strangers,
        card,
        demo,
    ):
        module.add(commands)
    return main


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    return run_cli("benchmarks", lambda: int(args.run(args)))
