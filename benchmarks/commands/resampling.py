"""`python -m benchmarks resampling`."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinysight.console import ProgressLine, positive, require_extra, table
from tinysight.records import to_json


def add(commands: Any) -> None:
    command = commands.add_parser(
        "resampling",
        help="validation accuracy on photos by resampling filter",
        description="Upscales validation images four to sixteen times, pastes them into larger "
        "canvases, saves them as JPEG, and classifies these photos after downscaling by each of "
        "Pillow's filters.",
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
        default="cifar10",
        help="dataset that the bundle was trained on: digits, cifar10, a folder or a tar archive "
        "(default: cifar10)",
    )
    command.add_argument(
        "--images",
        type=positive,
        default=2000,
        help="number of validation images, at least 1 (default: 2000)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "sklearn")
    import numpy as np

    from benchmarks.studies.resampling import accuracy_by_filter
    from benchmarks.studies.training_data import load_training_data, validation_indices
    from tinysight import Classifier

    progress = ProgressLine()
    classifier = Classifier.load(args.bundle)
    bundle = classifier.bundle
    dataset = load_training_data(bundle, args.data, progress)
    # Not the first ones: a folder's images come class by class.
    shuffled = np.random.default_rng(0).permutation(validation_indices(bundle, dataset))
    chosen = shuffled[: args.images]
    images = [dataset.images[index] for index in chosen]
    accuracies = dict(accuracy_by_filter(classifier, images, dataset.targets[chosen], progress))
    progress.clear()
    if args.json:
        print(json.dumps(to_json(accuracies)))
        return 0
    rows = [(name, str(accuracy)) for name, accuracy in accuracies.items()]
    print(table(("downscaled by", "accuracy (95 % interval)"), rows))
    print(f"\n{bundle.name} is set to {bundle.resample}")
    return 0
