"""Arguments that several commands take, described once."""

import argparse
import textwrap
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from training.conv_stack import Stack
from training.recipe_options import add_options
from training.recipes import OUTLIERS, Recipe

DATA = """
DATA is digits (bundled with scikit-learn), cifar10 (downloaded once), or a folder or tar archive
(.tar, .gz, .xz, .bz2; .zst from Python 3.14) of any name: with CIFAR-10's batches, python or binary
format; or with train/<class>/* and optionally val/<class>/* and test/<class>/*; or a folder with
<class>/* alone. Files that are no pictures are left out, and counted."""
_WEIGHTS = (
    "file of VGG16's ImageNet weights without top, .h5 (default: $TINYSIGHT_VGG16_WEIGHTS, or a "
    "download)"
)
FROM = "the model's name for own images and a model that has weights here, else none"


def add_from(command: argparse.ArgumentParser, default: str) -> None:
    command.add_argument(
        "--from", dest="start", metavar="SOURCE",
        help="weights to start from: a run folder or a bundle of the same model, edge_s or edge_m "
        "for those in this repository, or none for random weights; with weights, the recipe's "
        f"defaults are those of fine-tuning, by the number of images (default: {default})",
    )  # fmt: skip


def add_training(
    command: argparse.ArgumentParser,
    models: Sequence[str],
    default_of: Callable[[str], str],
    without: Collection[str] = (),
) -> None:
    """The arguments of every command that trains one model.

    Args:
        command: to add them to.
        models: that it trains.
        default_of: from a field of the recipe to what its help says of the default.
        without: fields of the recipe that the command itself decides.
    """
    command.add_argument(
        "model", type=_model(models), metavar="MODEL",
        help=f"{', '.join(models)}; or a stack of 3 x 3 convolutions such as 32s2-48-64s2-64: the "
        "filters of each, with s2 for a stride of 2",
    )  # fmt: skip
    add_data(command)
    command.add_argument("--out", type=Path, required=True, help="run folder to write (required)")
    existing = command.add_mutually_exclusive_group()
    existing.add_argument(
        "--resume", action="store_const", const="resume", default="fail", dest="if_exists",
        help="where OUT exists, continue after its last finished epoch (default: fail)",
    )  # fmt: skip
    existing.add_argument(
        "--overwrite", action="store_const", const="overwrite", dest="if_exists",
        help="where OUT exists, replace it (default: fail)",
    )  # fmt: skip
    command.add_argument(
        "--unknown", type=Path, metavar="FOLDER",
        help="pictures of no class, such as what else the camera sees: half of the --outliers are "
        f"drawn from them, and {OUTLIERS:g} is the default then (default: all are made)",
    )  # fmt: skip
    group = command.add_argument_group(
        "recipe", "settings of the training; defaults that depend on the model are in a table below"
    )
    add_options(group, Recipe, default_of, distillation=False, without=without)


def add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data", default="digits", help="images to train on, see below (default: digits)"
    )
    command.add_argument(
        "--skip-broken", action="store_true",
        help="leave pictures out that cannot be read (default: fail, and name all of them)",
    )  # fmt: skip
    add_size(command)
    command.add_argument("--weights", type=Path, metavar="FILE", help=_WEIGHTS)


def add_size(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--size", type=_side, default=32, metavar="PIXELS",
        help="side of the square that pictures are cropped and resized to, 16 to 256; larger shows "
        "details that are lost at 32, and costs the device its square (default: 32)",
    )  # fmt: skip


def _side(text: str) -> int:
    """A side of the images, for argparse."""
    if not 16 <= (side := int(text)) <= 256:
        raise argparse.ArgumentTypeError("must lie between 16 and 256")
    return side


def _model(models: Sequence[str]) -> Callable[[str], str]:
    """An argparse type: one of these names, or a stack."""

    def parse(text: str) -> str:
        if text not in models:
            try:
                Stack.parse(text)
            except ValueError:
                raise argparse.ArgumentTypeError(
                    f"invalid choice: {text!r}; choose from {', '.join(models)}, or a stack"
                ) from None
        return text

    return parse


def wrap(text: str) -> str:
    return textwrap.fill(text, 96)
