"""`python -m benchmarks photos`: which resampling suits a bundle."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinysight.console import ProgressLine, require_extra, table
from tinysight.errors import TinysightError


def add(commands: Any) -> None:
    photos = commands.add_parser(
        "photos",
        help="which resampling suits a bundle: small images, made into photos",
        description="Enlarges validation images four to sixteen times, pastes them into larger "
        "canvases, saves them as JPEG, and classifies these photos with each of Pillow's filters.",
    )
    photos.add_argument("bundle", type=Path, nargs="?", help="its folder (the shipped one)")
    photos.add_argument("--data", default="cifar10", help="what it was trained on (cifar10)")
    photos.add_argument("--images", type=int, default=2000, help="how many (2000)")
    photos.add_argument("--json", action="store_true", help="the figures as one JSON object")
    photos.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "sklearn")
    import numpy as np

    from benchmarks.studies.resampling import by_resampling
    from tinysight import Classifier
    from training.data import load_dataset, split
    from training.recipes import Recipe

    counter = ProgressLine()
    classifier = Classifier.load(args.bundle)
    dataset = load_dataset(args.data, progress=counter)
    bundle = classifier.bundle
    if dataset.fingerprint != bundle.data.get("fingerprint"):
        raise TinysightError(f"{args.data} is not what {bundle.name} was trained on")
    recipe = Recipe(**bundle.training["recipe"])
    validation = split(dataset, recipe.data_seed, recipe.val_fraction).val
    # Not the first ones: a folder's images come class by class.
    chosen = np.random.default_rng(0).permutation(validation)[: args.images]
    images = [dataset.images[index] for index in chosen]
    figures = dict(by_resampling(classifier, images, dataset.targets[chosen], counter))
    counter.clear()
    if args.json:
        print(json.dumps({name: accuracy.as_json() for name, accuracy in figures.items()}))
        return 0
    print(table(("photos shrunk by", "accuracy (95 %)"), [(n, str(a)) for n, a in figures.items()]))
    print(f"\n{bundle.name} is set to {bundle.resample}")
    return 0
