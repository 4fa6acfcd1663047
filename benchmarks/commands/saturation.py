"""`python -m benchmarks saturation [BUNDLE]`."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinysight.console import ProgressLine, positive, require_extra, table
from tinysight.records import to_json


def add(commands: Any) -> None:
    command = commands.add_parser(
        "saturation",
        help="compare what export predicts of 16-bit sums with what an emulated CPU answers",
        description="x86 CPUs without VNNI sum pairs of products in 16 bits, which saturate. "
        "Classifies images on such a CPU, emulated, with the bundle's default artifact and with "
        "the same whose first layer has 8-bit instead of 7-bit weights, and compares image by "
        "image with export's prediction. `make emulators` installs what it needs. Exit code 1 when "
        "more than a tenth of the flips differ.",
    )
    command.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        metavar="BUNDLE",
        help="bundle folder, or the name of a bundle in the wheel (default: edge_m)",
    )
    command.add_argument(
        "--data",
        help="dataset that the bundle was trained on, whose test images are classified: digits, "
        "cifar10, a folder or a tar archive (default: parts of two photographs)",
    )
    command.add_argument(
        "--images",
        type=positive,
        default=500,
        help="number of images, at least 1 (default: 500)",
    )
    command.add_argument(
        "--cpu",
        choices=("Haswell", "Skylake-Client"),
        default="Haswell",
        help="the CPU to emulate, by its name in qemu (default: Haswell)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("export", "onnx", "tensorflow")
    from benchmarks.emulators.cpus import CPUS
    from benchmarks.emulators.images import images_to_classify
    from benchmarks.emulators.saturation import check_saturation
    from tinysight.bundle import load_bundle

    bundle = load_bundle(args.bundle)
    progress = ProgressLine()
    images = images_to_classify(bundle, args.data, args.images, progress)
    checks = list(check_saturation(bundle, images, CPUS[args.cpu], progress))
    progress.clear()
    good = all(check.agrees for check in checks)
    if args.json:
        print(json.dumps({"bundle": bundle.name, "ok": good, "checks": to_json(checks)}))
        return 0 if good else 1
    rows = [
        (
            f"{check.first_layer_bits} bits",
            f"{check.predicted_flips:,}",
            f"{check.real_flips:,}",
            f"{check.common_flips:,}",
            f"{check.predicted_difference:.3g}",
            f"{check.real_difference:.3g}",
            f"{check.largest_error:.2g}",
        )
        for check in checks
    ]
    header = (
        "first layer", "flips predicted", "flips real", "the same", "largest difference predicted",
        "real", "largest error of the prediction",
    )  # fmt: skip
    print(f"{bundle.name}/{bundle.default} on {args.cpu}, {len(images):,} images\n")
    print(table(header, rows))
    return 0 if good else 1
