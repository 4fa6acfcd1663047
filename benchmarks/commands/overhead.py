"""`python -m benchmarks overhead`."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinysight.console import positive
from tinysight.records import to_json


def add(commands: Any) -> None:
    command = commands.add_parser(
        "overhead",
        help="latency that classify(array) adds to onnxruntime's own call",
        description="Times onnxruntime's InferenceSession.run and Classifier.classify(array), "
        "interleaved, on one thread at batch 1.",
    )
    command.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        metavar="BUNDLE",
        help="bundle folder, or the name of a bundle in the wheel (default: edge_m)",
    )
    command.add_argument(
        "--runs",
        type=positive,
        default=10_000,
        help="timed calls of each, at least 1 (default: 10000)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from benchmarks.studies.api_overhead import measure_overhead

    overhead = measure_overhead(args.bundle, args.runs)
    if args.json:
        print(json.dumps(to_json(overhead)))
        return 0
    print(f"session.run      {overhead.session_run_us:7.1f} us (median of {overhead.runs:,})")
    print(f"classify(array)  {overhead.classify_us:7.1f} us")
    print(f"difference       {overhead.overhead_us:7.1f} us (median of the paired differences)")
    return 0
