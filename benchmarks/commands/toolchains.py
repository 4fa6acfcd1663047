"""`python -m benchmarks toolchains RUN`."""

import argparse
from pathlib import Path
from typing import Any

from tinysight.console import HelpFormatter, ProgressLine, require_extra


def add(commands: Any) -> None:
    command = commands.add_parser(
        "toolchains",
        help="convert a trained model as other toolchains do by default",
        description="Converts a finished run's model as each toolchain's tutorial does: "
        "onnxruntime (float32, int8), LiteRT (int8), OpenVINO (float32, int8) and ncnn (float32). "
        "A sweep then measures the conversions beside the bundle: sweep BUNDLE --toolchains OUT.",
        epilog="example:\n"
        "  python -m benchmarks toolchains runs/baseline --out toolchains/baseline\n"
        "  python -m benchmarks sweep bundles/baseline --toolchains toolchains/baseline "
        "--out results/today",
        formatter_class=HelpFormatter,
    )
    command.add_argument(
        "trained", type=Path, metavar="RUN", help="run folder that `python -m training` wrote"
    )
    command.add_argument("--out", type=Path, required=True, help="folder to write")
    command.add_argument(
        "--data", help="where the run's data is now (default: where it was at the training)"
    )
    command.add_argument(
        "--overwrite", action="store_true", help="replace earlier conversions in OUT"
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("export", "tensorflow", "tf2onnx", "onnx")
    require_extra("toolchains", "openvino", "nncf", "ncnn", "pnnx")
    from benchmarks.sweep.other_toolchains import convert

    counter = ProgressLine()
    convert(args.trained, args.data, args.out, overwrite=args.overwrite, progress=counter)
    counter.clear()
    print(f"Written to {args.out}/. `sweep BUNDLE --toolchains {args.out}` measures them.")
    return 0
