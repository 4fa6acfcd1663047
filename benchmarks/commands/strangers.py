"""`python -m benchmarks strangers`: how sure a bundle is of what it has never seen."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinysight.console import require_extra, table


def add(commands: Any) -> None:
    ood_images = commands.add_parser(
        "strangers",
        help="what a bundle answers to images of no class",
        description="Shows a bundle images of no class (digits, noise, waves, clouds, plain "
        "colours): the mean probability of its first class, and how many of them it answers under "
        "--min-confidence auto.",
    )
    ood_images.add_argument("bundle", type=Path, nargs="?", help="its folder (the shipped one)")
    ood_images.add_argument("--json", action="store_true", help="the figures as one JSON object")
    ood_images.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "sklearn")
    from benchmarks.studies.out_of_distribution import as_json, as_row, ood_images, react
    from tinysight import Classifier

    classifier = Classifier.load(args.bundle)
    bundle = classifier.bundle
    reactions = {
        kind: react(classifier, images)
        for kind, images in ood_images(bundle.height, bundle.width).items()
    }
    if args.json:
        print(json.dumps(as_json(reactions)))
        return 0
    header = ("images", "n", "mean confidence", "answered")
    print(table(header, [as_row(kind, reaction) for kind, reaction in reactions.items()]))
    if bundle.abstain:
        threshold, coverage = bundle.abstain["threshold"], bundle.abstain["coverage"]
        print(
            f"\nAnswered from a probability of {threshold:.2f} on, as {coverage:.1%} of the "
            "validation images are."
        )
    return 0
