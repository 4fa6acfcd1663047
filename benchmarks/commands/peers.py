"""`python -m benchmarks peers RUN`."""

import argparse
from pathlib import Path
from typing import Any

from tinysight.console import ProgressLine, require_extra


def add(commands: Any) -> None:
    command = commands.add_parser(
        "peers",
        help="the same weights, by other tools' plain roads",
        description="Converts a finished run's model as each tool's tutorial does: onnxruntime "
        "(float32, int8), LiteRT (int8), OpenVINO (float32, int8) and ncnn (float32). A sweep then "
        "measures them beside the bundle: sweep BUNDLE --peers OUT.",
        epilog="example:\n"
        "  python -m benchmarks peers runs/baseline --out peers/baseline\n"
        "  python -m benchmarks sweep bundles/baseline --peers peers/baseline --out results/today",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "trained", type=Path, metavar="RUN", help="the run folder that `python -m training` wrote"
    )
    command.add_argument("--out", type=Path, required=True, help="the folder to write")
    command.add_argument("--data", help="where the run's data is now, if it has moved")
    command.add_argument("--overwrite", action="store_true", help="replace the peers there")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("export", "tensorflow", "tf2onnx", "onnx")
    require_extra("peers", "openvino", "nncf", "ncnn", "pnnx")
    from benchmarks.sweep.other_toolchains import convert

    counter = ProgressLine()
    convert(args.trained, args.data, args.out, overwrite=args.overwrite, count=counter)
    counter.clear()
    print(f"Written to {args.out}/. Next: python -m benchmarks sweep BUNDLE --peers {args.out} …")
    return 0
