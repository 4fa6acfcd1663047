"""`python -m export triton BUNDLE --out REPOSITORY`."""

import argparse
from pathlib import Path
from typing import Any

from tinysight.console import HelpFormatter, require_extra


def add(commands: Any) -> None:
    command = commands.add_parser(
        "triton",
        help="write a model repository for NVIDIA's Triton Inference Server",
        description="Writes a bundle's default artifact as a model of a Triton model repository: "
        "its ONNX file,\nconfig.pbtxt and labels.txt. The model takes uint8 pixels "
        "(n, height, width, 3), already cropped and\nresized, and gives float32 logits.",
        epilog="example:\n"
        "  python -m export triton edge_m --out repository\n"
        "  tritonserver --model-repository repository",
        formatter_class=HelpFormatter,
    )
    command.add_argument(
        "bundle",
        nargs="?",
        metavar="BUNDLE",
        help="bundle folder, or the name of a bundle shipped with tinysight (default: its default "
        "bundle)",
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="REPOSITORY", help="folder to write"
    )
    command.add_argument(
        "--max-batch",
        type=int,
        default=64,
        metavar="N",
        help="images that the server may put into one call, at least 1 (default: 64)",
    )
    command.add_argument(
        "--overwrite", action="store_true", help="replace an existing folder (default: refuse)"
    )
    command.set_defaults(run=run, error=command.error)


def run(args: argparse.Namespace) -> int:
    require_extra("export", "onnx")
    from export.triton import write_repository
    from tinysight.bundle import load_bundle

    if args.max_batch < 1:
        args.error("argument --max-batch: must be at least 1")
    model = write_repository(
        load_bundle(args.bundle), args.out, max_batch=args.max_batch, overwrite=args.overwrite
    )
    print(f"Written to {model}/: config.pbtxt, labels.txt, 1/model.onnx")
    print(f"Next: tritonserver --model-repository {args.out}")
    return 0
