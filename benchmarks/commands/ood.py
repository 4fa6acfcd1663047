"""`python -m benchmarks ood`."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysight.console import require_extra, table
from tinysight.errors import TinysightError
from tinysight.records import to_json

if TYPE_CHECKING:
    from tinysight import Classifier
    from tinysight.preprocess import Pixels


def add(commands: Any) -> None:
    command = commands.add_parser(
        "ood",
        help="how many out-of-distribution images a bundle answers",
        description="Classifies out-of-distribution images (digits, text, parts of photographs, "
        "gratings, clouds) and prints, for each kind, the mean confidence and how many of them are "
        "answered with --min-confidence auto, that is by the energy score that the bundle "
        "recommends. With --known it compares scores instead: how many are answered at the "
        "threshold that answers 95 % of the known images.",
    )
    command.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        metavar="BUNDLE",
        help="bundle folder, or the name of a bundle in the wheel (default: edge_m)",
    )
    command.add_argument(
        "--known",
        metavar="DATA",
        help="data set with the bundle's classes, of which the test images are known ones: "
        "CIFAR-10's archive, or class folders",
    )
    command.add_argument(
        "--images",
        type=_kind,
        nargs="+",
        default=[],
        metavar="NAME=FOLDER",
        help="more pictures of no class, each folder a kind",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "sklearn")
    from benchmarks.studies.out_of_distribution import (
        mean_coverage,
        ood_images,
        summarize_confidence,
    )
    from tinysight import Classifier

    classifier = Classifier.load(args.bundle)
    bundle = classifier.bundle
    kinds = dict(ood_images(bundle.height, bundle.width))
    for name, folder in args.images:
        kinds[name] = _pictures(folder, bundle.height, bundle.width)
    if args.known is not None:
        return _compare_scores(classifier, kinds, args)
    summaries = {kind: summarize_confidence(classifier, images) for kind, images in kinds.items()}
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
    mean = mean_coverage(summaries)
    if bundle.abstention is not None and mean is not None:
        print(
            f"\nAnswered, {mean:.1%} in the mean over the kinds: those of an energy score of "
            f"{bundle.abstention.min_energy_score:.4f} or more, as "
            f"{bundle.abstention.coverage:.1%} of the validation images."
        )
    return 0


def _compare_scores(
    classifier: "Classifier", kinds: Mapping[str, "Pixels"], args: argparse.Namespace
) -> int:
    from benchmarks.studies.out_of_distribution import separations
    from training.data import load_dataset

    bundle = classifier.bundle
    data = load_dataset(args.known, size=bundle.shape, skip_broken=True)
    if data.labels != bundle.labels:
        raise TinysightError(f"{args.known} has other classes than the bundle: {data.labels}")
    found = separations(classifier, data.images[data.parts["test"]], kinds)
    if args.json:
        print(json.dumps([to_json(one) for one in found]))
        return 0
    rows = [
        (one.score, *(f"{one.answered[kind]:.1%}" for kind in kinds), f"{one.mean:.1%}")
        for one in found
    ]
    print(table(("score", *kinds, "mean"), rows))
    print(
        f"\nAnswered, at each score's threshold for {found[0].coverage:.1%} of {found[0].known:,} "
        "known test images."
    )
    return 0


def _pictures(folder: Path, height: int, width: int) -> "Pixels":
    from training.data.outliers import read_unknown

    return read_unknown(folder, (height, width)).images


def _kind(text: str) -> tuple[str, Path]:
    """`NAME=FOLDER`, for argparse."""
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FOLDER")
    return name, Path(folder)
