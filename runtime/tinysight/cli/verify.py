"""`tinysight verify`: is the bundle whole, and does this device answer as the workstation did?"""

import argparse
import json
from typing import Any

from tinysight.bundle import load_bundle
from tinysight.cli.arguments import add_bundle
from tinysight.integrity.isolated import verify_isolated
from tinysight.integrity.verification import verify
from tinysight.records import to_json


def add(commands: Any) -> None:
    command = commands.add_parser(
        "verify",
        description="Checks every file's size and SHA-256, that each artifact is a model of known "
        "operators which loads in its engine and takes and gives what it should, that this device "
        "gives the golden answers which the workstation recorded, and that no image was trained on "
        "and tested on. Exit code 1 when anything is wrong.",
    )
    add_bundle(command)
    command.add_argument(
        "--isolated",
        action="store_true",
        help="verify in a process of its own, with limits on memory and time: for a bundle of "
        "unknown origin (default: in this process)",
    )
    command.add_argument(
        "--json",
        action="store_true",
        help="print the verdicts as one JSON object",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.isolated:
        folder = load_bundle(args.bundle).folder  # reads no model
        assert folder is not None
        result = verify_isolated(folder)
    else:
        result = verify(load_bundle(args.bundle))
    if args.json:
        print(json.dumps(to_json(result)))
        return 0 if result.ok else 1
    lines = [(check.ok, check.artifact, check.detail) for check in result.checks]
    for ok, name, detail in [*lines, (result.data.ok, "data", result.data.detail)]:
        print(f"{'ok  ' if ok else 'FAIL'}  {name}: {detail}")
    print(result.verdict)
    return 0 if result.ok else 1
