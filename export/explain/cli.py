"""`python -m export explain BUNDLE`."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from tinysight.console import ProgressLine, positive, require_extra, run_cli


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="python -m export explain",
        description="Says why a bundle's int8 artifact takes the time that it takes on this CPU: "
        "for each layer its work, its time in float32 and in int8, and how far that is from what "
        "a core can do; what fused and what did not; what would help; and whether another CPU "
        "would give the same answers.",
    )
    main.add_argument(
        "bundle", nargs="?", type=Path, help="its folder (default: CIFAR-10, shipped)"
    )
    main.add_argument("--json", action="store_true", help="everything that was found, as JSON")
    main.add_argument(
        "--samples",
        type=positive,
        default=300,
        metavar="N",
        help="how often each graph is run (300)",
    )
    return main


def main(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    return run_cli("export explain", lambda: run(args))


def run(args: argparse.Namespace) -> int:
    require_extra("export", "onnx")
    from export.explain.explain import explain
    from export.explain.text_report import page

    counter = ProgressLine()
    explained = explain(args.bundle, args.samples, counter)
    counter.clear()
    print(json.dumps(explained.as_json(), indent=1) if args.json else page(explained))
    return 0
