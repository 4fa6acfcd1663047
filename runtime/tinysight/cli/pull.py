"""`tinysight pull`: take a new version of a bundle, whole or not at all."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinysight.cli.arguments import add_keys
from tinysight.console import HelpFormatter, ProgressLine
from tinysight.records import to_json
from tinysight.updates.update import pull


def add(commands: Any) -> None:
    command = commands.add_parser(
        "pull",
        description="Fetches a bundle into a store of versions and goes over to it, after its "
        "signature (where keys are trusted), every file's size and SHA-256, and this device's "
        "golden answers were checked. Whatever fails, the store stays as it was. The version "
        "before is kept for `tinysight rollback`. Programs that watch the "
        "store take the new one at once.",
        epilog="examples:\n"
        "  tinysight pull https://models.example/doorbell /var/lib/doorbell --key fleet.pub\n"
        "  tinysight pull /media/stick/doorbell /var/lib/doorbell",
        formatter_class=HelpFormatter,
    )
    command.add_argument(
        "source",
        metavar="SOURCE",
        help="bundle folder, or its address on a web server: https://…, or http://… where a "
        "signature is required",
    )
    command.add_argument(
        "store", metavar="STORE", help="folder of the store; made where it does not exist"
    )
    add_keys(command)
    command.add_argument(
        "--force",
        action="store_true",
        help="take the version also when it was rolled back from here (default: refuse it)",
    )
    command.add_argument(
        "--json", action="store_true", help="print what was done as one JSON object"
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    line = ProgressLine()
    try:
        update = pull(args.source, Path(args.store), keys=args.key, force=args.force, report=line)
    finally:
        line.clear()
    if args.json:
        print(json.dumps(to_json(update)))
        return 0
    signed = "" if update.key is None else f", signed by key {update.key}"
    what = "is current now" if update.changed else "was current already"
    print(f"{args.store}: {update.bundle} {update.version}{signed}, {what}")
    print(update.verdict)
    return 0
