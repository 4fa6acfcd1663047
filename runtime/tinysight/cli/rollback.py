"""`tinysight rollback`: back to the version before."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinysight.records import to_json
from tinysight.updates.update import rollback


def add(commands: Any) -> None:
    command = commands.add_parser(
        "rollback",
        description="Makes the version current again that was so before the last `tinysight pull`. "
        "The version that is left is not pulled again, unless with --force.",
    )
    command.add_argument("store", metavar="STORE", help="folder of the store")
    command.add_argument(
        "--json", action="store_true", help="print what was done as one JSON object"
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    update = rollback(Path(args.store))
    if args.json:
        print(json.dumps(to_json(update)))
    else:
        print(f"{args.store}: back to {update.bundle} {update.version}; {update.verdict}")
    return 0
