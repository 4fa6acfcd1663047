"""`python -m benchmarks card`."""

import argparse
from pathlib import Path
from typing import Any

from tinysight.console import ProgressLine, require_extra
from tinysight.errors import TinysightError


def add(commands: Any) -> None:
    card = commands.add_parser(
        "card",
        help="write a bundle's card: what it can do, where it fails, how to make it again",
        description="Looks at the test images with the bundle's default artifact and at images of "
        "no class, and writes BUNDLE/card.md: accuracy by class, what is taken for what, how far "
        "its probabilities can be trusted, and the commands that make the bundle again.",
    )
    card.add_argument("bundle", type=Path, help="its folder")
    card.add_argument("--data", default="cifar10", help="what it was trained on (cifar10)")
    card.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "sklearn")
    from benchmarks.publish.model_card import FILE, card
    from tinysight.bundle import load_bundle
    from tinysight.files import write_bytes
    from training.data import load_dataset

    bundle = load_bundle(args.bundle)
    counter = ProgressLine()
    dataset = load_dataset(args.data, size=(bundle.height, bundle.width), progress=counter)
    counter.clear()
    if dataset.fingerprint != bundle.data.get("fingerprint"):
        raise TinysightError(f"{args.data} is not what {bundle.name} was trained on")
    write_bytes(args.bundle / FILE, card(bundle, dataset).encode())
    print(f"Written to {args.bundle / FILE}")
    return 0
