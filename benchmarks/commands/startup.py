"""`python -m benchmarks startup`."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinysight.console import positive
from tinysight.records import to_json


def add(commands: Any) -> None:
    command = commands.add_parser(
        "startup",
        help="time of a whole `tinysight classify` process against a bare script's",
        description="Runs `tinysight classify` on one picture, and a script that does the same "
        "with numpy, Pillow and onnxruntime alone, alternately, each in a process of its own.",
    )
    command.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        metavar="BUNDLE",
        help="bundle folder, or the name of a bundle in the wheel (default: edge_m)",
    )
    command.add_argument(
        "--runs", type=positive, default=21, help="processes of each, at least 1 (default: 21)"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from benchmarks.studies.startup import measure_startup

    startup = measure_startup(args.bundle, args.runs)
    if args.json:
        print(json.dumps(to_json(startup)))
        return 0
    print(f"tinysight classify  {startup.classify_ms:7.1f} ms (median of {startup.runs})")
    print(f"bare script         {startup.bare_script_ms:7.1f} ms")
    print(f"ratio               {startup.ratio:7.2f}    (median of neighbouring processes)")
    return 0
