"""`python -m export explain BUNDLE`."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinysight.console import ProgressLine, positive, require_extra


def add(commands: Any) -> None:
    command = commands.add_parser(
        "explain",
        help="print, layer by layer, where an int8 artifact spends its time on this CPU, and why",
        description="Explains the latency of a bundle's int8 ONNX artifact on this CPU: for each "
        "layer its multiply-accumulates, its time in float32 and in int8, and its share of the "
        "core's peak throughput; what was fused; what would help; and whether x86 CPUs without "
        "VNNI give the same answers.",
    )
    command.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        metavar="BUNDLE",
        help="bundle folder, or the name of a bundle shipped with tinysight (default: its default "
        "bundle)",
    )
    command.add_argument(
        "--json", action="store_true", help="print everything measured as JSON (default: text)"
    )
    command.add_argument(
        "--runs",
        type=positive,
        default=300,
        metavar="N",
        help="inferences per graph, at least 1 (default: 300)",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("export", "onnx")
    from export.explain.explain import explain
    from export.explain.json_report import json_report
    from export.explain.text_report import text_report

    counter = ProgressLine()
    explained = explain(args.bundle, args.runs, counter)
    counter.clear()
    print(json.dumps(json_report(explained), indent=1) if args.json else text_report(explained))
    return 0
