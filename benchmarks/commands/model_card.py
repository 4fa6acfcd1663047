"""`python -m benchmarks model-card`."""

import argparse
from pathlib import Path
from typing import Any

from benchmarks.emulators.records import RESULTS, read
from tinysight.console import ProgressLine, require_extra


def add(commands: Any) -> None:
    command = commands.add_parser(
        "model-card",
        help="write a bundle's model card: what it can do, where it fails, how to reproduce it",
        description="Classifies the test images with the bundle's default artifact, and "
        "out-of-distribution images, and writes BUNDLE/card.md: accuracy by class, the most "
        "frequent confusions, calibration, and the commands that make the bundle again.",
    )
    command.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle folder")
    command.add_argument(
        "--data",
        default="cifar10",
        help="dataset that the bundle was trained on: digits, cifar10, a folder or a tar archive "
        "(default: cifar10)",
    )
    command.add_argument(
        "--emulators",
        type=Path,
        default=RESULTS,
        metavar="FOLDER",
        help="what `python -m benchmarks emulators --out` wrote; the card names the CPUs on which "
        "it has these artifacts proven (default: benchmarks/results/emulators of the checkout)",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "sklearn")
    from benchmarks.publish.model_card import FILE, model_card
    from benchmarks.studies.training_data import load_training_data
    from tinysight.bundle import load_bundle
    from tinysight.files import write_bytes

    bundle = load_bundle(args.bundle)
    emulators = read(args.emulators)
    progress = ProgressLine()
    dataset = load_training_data(bundle, args.data, progress)
    progress.clear()
    file = Path(str(bundle.folder)) / FILE  # BUNDLE may be the name of a shipped one
    write_bytes(file, model_card(bundle, dataset, emulators).encode())
    print(f"Written to {file}")
    return 0
