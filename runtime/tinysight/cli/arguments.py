"""Arguments that several commands take, described once."""

import argparse
import math

from tinysight.classifier import Classifier, Confidence
from tinysight.console import numbers, positive
from tinysight.engines.registry import ENGINES, MAX_THREADS

_BUNDLE = (
    "bundle folder, store of `tinysight pull`, or the name of a shipped one: edge_m, edge_s "
    "(default: edge_m)"
)


def thread_count(text: str) -> int:
    """A whole number from 1 to `MAX_THREADS`, for argparse."""
    return thread_counts(str(positive(text)))[0]


def thread_counts(text: str) -> tuple[int, ...]:
    """Such numbers between commas, for argparse."""
    counts = numbers(text)
    if max(counts) > MAX_THREADS:
        raise argparse.ArgumentTypeError(f"must be at most {MAX_THREADS}")
    return counts


def add_bundle(command: argparse._ActionsContainer) -> None:
    """`--bundle`: the one that a command is about, or None."""
    command.add_argument("--bundle", metavar="FOLDER", help=_BUNDLE)


def add_bundles(command: argparse.ArgumentParser) -> None:
    """`--bundle`: one or more of them, `bundles`, or None."""
    command.add_argument(
        "--bundle", dest="bundles", nargs="+", default=(), metavar="FOLDER", help=_BUNDLE
    )


def add_classifier_options(
    command: argparse.ArgumentParser, *, many: bool = False
) -> argparse._MutuallyExclusiveGroup:
    """Which artifact of which bundle answers, how, and in which form the answers are printed.

    Args:
        command: gets the options.
        many: whether its answers are of one model from the first to the last, by one thread each.

    Returns the group of the forms, to which a command may add others.
    """
    which = command.add_mutually_exclusive_group()
    add_bundle(which)
    if not many:
        _add_watch(which)
    command.add_argument(
        "--artifact",
        metavar="NAME",
        help="artifact of the bundle, by the name that `tinysight info` shows (default: "
        + ("" if many else "without --engine or --threads, what `tinysight tune` chose here; else ")
        + "the bundle's own, or what suits --engine)",
    )
    command.add_argument(
        "--engine",
        choices=tuple(ENGINES),
        help="inference engine; each runs artifacts of one format (default: that of the artifact)",
    )
    command.add_argument(
        "--top-k",
        type=positive,
        default=1,
        metavar="K",
        help="classes to rank, from 1 (default: 1)",
    )
    command.add_argument(
        "--min-confidence",
        type=_confidence,
        default=0.0,
        metavar="P",
        help='probability below which the answer is "unknown", in [0, 1]; or auto, where pictures '
        "may show none of the classes: the energy score that the bundle recommends, which 95 %% of "
        "its validation images reach (default: 0, always answer)",
    )
    if not many:
        command.add_argument(
            "--threads",
            type=thread_count,
            metavar="N",
            help="threads of one inference call, 1 to 64 (default: without --artifact or "
            "--engine, as `tinysight tune` chose here; else 1)",
        )
    form = command.add_mutually_exclusive_group()
    form.add_argument(
        "--json",
        action="store_true",
        help="print JSON instead of text, an object a line",
    )
    return form


def _add_watch(which: argparse._MutuallyExclusiveGroup) -> None:
    which.add_argument(
        "--watch",
        metavar="STORE",
        help="store of `tinysight pull`: answer with its current version, and go over to another "
        "as soon as it is current, between two images (default: --bundle)",
    )


def add_keys(command: argparse.ArgumentParser) -> None:
    """`--key`: public keys, one of which must have signed a bundle."""
    command.add_argument(
        "--key",
        action="append",
        metavar="PUBLIC",
        help="public key file, or folder of *.pub files, one of which must have signed the bundle; "
        "may be given several times (default: the keys in $TINYSIGHT_TRUSTED_KEYS, else in "
        "/etc/tinysight/trusted_keys; where there are none, no signature is required)",
    )


def load_classifier(args: argparse.Namespace) -> Classifier:
    """The classifier that `add_classifier_options` describes."""
    return Classifier.load(
        args.watch or args.bundle,
        artifact=args.artifact,
        engine=args.engine,
        threads=args.threads,
        watch=args.watch is not None,
    )


def _confidence(text: str) -> Confidence:
    """A probability or `auto`, for argparse."""
    if text == "auto":
        return "auto"
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must lie between 0 and 1, or be auto")
    return value


def positive_number(text: str) -> float:
    """A finite number above 0, for argparse."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be above 0")
    return value
