"""`python -m benchmarks overhead`."""

import argparse
from pathlib import Path
from typing import Any

from tinysight.console import positive


def add(commands: Any) -> None:
    command = commands.add_parser(
        "overhead",
        help="what classify(array) adds to the engine's own call",
        description="Times onnxruntime's run and Classifier.classify(array) in turns.",
    )
    command.add_argument("bundle", nargs="?", type=Path, help="(CIFAR-10, shipped)")
    command.add_argument("--samples", type=positive, default=10_000, help="calls each (10000)")
    command.add_argument("--json", action="store_true", help="as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from benchmarks.studies.api_overhead import report

    return report(args.bundle, args.samples, args.json)
