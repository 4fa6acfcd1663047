"""`python -m benchmarks camera`."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinysight.console import ProgressLine, require_extra, table
from tinysight.records import to_json


def add(commands: Any) -> None:
    command = commands.add_parser(
        "camera",
        help="frames per second and memory of `tinysight stream` on one core",
        description="Writes videos of 30 frames per second, and runs `tinysight stream` on each, "
        "bound to one core: 640 x 480 in full; and a tenth of the frames, once 1920 x 1080 in "
        "full, once 640 x 480 at its own pace as a camera gives them.",
    )
    command.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        metavar="BUNDLE",
        help="bundle folder, or the name of a bundle in the wheel (default: edge_m)",
    )
    command.add_argument(
        "--frames",
        type=_frames,
        default=10_000,
        metavar="N",
        help="frames of the 640 x 480 video, at least 100 (default: 10000)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("camera", "cv2")
    from benchmarks.studies.camera import measure_streams

    counter = ProgressLine()
    runs = measure_streams(args.bundle, args.frames, counter)
    counter.clear()
    if args.json:
        print(json.dumps({"runs": to_json(runs)}))
        return 0
    rows = [
        (
            f"{one.width} x {one.height}, {'at its own pace' if one.realtime else 'in full'}",
            f"{one.classified:,}",
            f"{one.dropped:,}",
            f"{one.fps:,.1f}",
            f"{one.memory_mb:.1f}",
            f"{one.final_memory_mb:.1f}",
            f"{one.growth_mb:+.1f}",
        )
        for one in runs
    ]
    print(table(_HEADER, rows))
    return 0


_HEADER = (
    "video of 30 frames/s",
    "classified",
    "dropped",
    "frames/s",
    "MB after a tenth",
    "MB at the end",
    "growth",
)


def _frames(text: str) -> int:
    value = int(text)
    if value < 100:
        raise argparse.ArgumentTypeError("must be at least 100")
    return value
