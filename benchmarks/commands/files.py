"""`python -m benchmarks files`."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinysight.console import ProgressLine, positive
from tinysight.records import to_json


def add(commands: Any) -> None:
    command = commands.add_parser(
        "files",
        help="speed of `tinysight classify --jobs` and `bulk` on many files against a bare loop",
        description="Writes many small JPEG and PNG files, and classifies them by `tinysight "
        "classify --jobs`, by `tinysight bulk` where Daft is installed, and by a script of Pillow "
        "and onnxruntime in as many processes, alternately.",
    )
    command.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        metavar="BUNDLE",
        help="bundle folder, or the name of a bundle in the wheel (default: edge_m)",
    )
    command.add_argument(
        "--files", type=positive, default=60_000, metavar="N", help="how many (default: 60000)"
    )
    command.add_argument(
        "--jobs", type=positive, default=2, metavar="N", help="processes of each (default: 2)"
    )
    command.add_argument(
        "--runs", type=positive, default=5, metavar="N", help="runs of each (default: 5)"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from benchmarks.studies.many_files import measure_many_files

    line = ProgressLine()
    result = measure_many_files(args.bundle, args.files, args.jobs, args.runs, line)
    line.clear()
    if args.json:
        print(json.dumps(to_json(result)))
        return 0
    print(f"{result.files:,} files, {result.jobs} processes, medians of {result.runs} runs")
    print(f"tinysight classify  {result.classify:8,.0f} images/s")
    print(f"bare script         {result.bare_script:8,.0f} images/s")
    if result.bulk is not None:
        print(f"tinysight bulk      {result.bulk:8,.0f} images/s")
    print(f"classify / script   {result.ratio:8.2f}")
    if result.bulk_ratio is not None:
        print(f"bulk / script       {result.bulk_ratio:8.2f}")
    return 0
