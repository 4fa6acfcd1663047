"""`python -m benchmarks ood`."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinysight.console import require_extra, table
from tinysight.records import to_json


def add(commands: Any) -> None:
    command = commands.add_parser(
        "ood",
        help="confidence of a bundle on out-of-distribution images",
        description="Classifies out-of-distribution images (digits, noise, gratings, clouds, plain "
        "colours) and prints, for each kind, the mean confidence and how many of them are "
        "answered with --min-confidence auto.",
    )
    command.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        metavar="BUNDLE",
        help="bundle folder, or the name of a bundle in the wheel (default: edge_m)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "sklearn")
    from benchmarks.studies.out_of_distribution import ood_images, summarize_confidence
    from tinysight import Classifier

    classifier = Classifier.load(args.bundle)
    bundle = classifier.bundle
    summaries = {
        kind: summarize_confidence(classifier, images)
        for kind, images in ood_images(bundle.height, bundle.width).items()
    }
    if args.json:
        print(json.dumps(to_json(summaries)))
        return 0
    rows = [
        (
            kind,
            f"{summary.n:,}",
            f"{summary.mean_confidence:.3f}",
            "-" if summary.coverage is None else f"{summary.coverage:.1%}",
        )
        for kind, summary in summaries.items()
    ]
    print(table(("images", "n", "mean confidence", "answered"), rows))
    if bundle.abstention is not None:
        print(
            f"\nAnswered: those of a confidence of {bundle.abstention.threshold:.2f} or more, "
            f"as {bundle.abstention.coverage:.1%} of the validation images."
        )
    return 0
