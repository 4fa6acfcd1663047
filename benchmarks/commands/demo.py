"""`python -m benchmarks demo`, which `make demo` runs."""

import argparse
from pathlib import Path
from typing import Any

from tinysight.console import require_extra


def add(commands: Any) -> None:
    command = commands.add_parser(
        "demo",
        help="all stages once: train, export, classify, measure (make demo)",
        description="Runs the commands that a user would type, one after the other, and prints "
        "each of them first. What an earlier demo wrote is replaced.",
    )
    command.add_argument(
        "--data",
        default="digits",
        help="dataset: digits, cifar10, a folder or a tar archive (default: digits)",
    )
    command.add_argument(
        "--out", type=Path, default=Path("runs/demo"), help="folder to write (default: runs/demo)"
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "tensorflow", "tf_keras", "sklearn", "matplotlib", "rich")
    require_extra("export", "onnx", "tf2onnx", "ai_edge_litert")
    from benchmarks.publish.demo import demo

    return demo(args.data, args.out)
