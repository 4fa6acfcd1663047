"""`python -m benchmarks training`."""

import argparse
import json
from typing import TYPE_CHECKING, Any

from tinysight.console import positive, require_extra
from tinysight.records import to_json

if TYPE_CHECKING:
    from benchmarks.studies.training_input import Comparison

MODELS = ("baseline", "edge_m", "airbench")


def add(commands: Any) -> None:
    command = commands.add_parser(
        "training",
        help="seconds an epoch with images on the device against the tf.data pipeline",
        description="Trains recipes on random images of CIFAR-10's size, once with the images in "
        "the memory of the device and augmented in the training step, once from the tf.data "
        "pipeline, alternately; and prepares batches without training. Each measurement of a "
        "recipe is its second epoch.",
    )
    command.add_argument(
        "--models",
        nargs="*",
        choices=MODELS,
        default=list(MODELS),
        metavar="MODEL",
        help=f"recipes: {', '.join(MODELS)} (default: all; none measures the input alone)",
    )
    command.add_argument(
        "--images", type=positive, default=10_000, help="images an epoch (default: 10,000)"
    )
    command.add_argument(
        "--runs", type=positive, default=5, help="measurements of each, at least 1 (default: 5)"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "tensorflow", "tf_keras")
    from benchmarks.studies.training_input import compare_inputs

    def show(one: "Comparison") -> None:
        if args.json:
            return
        speeds = f"{one.images / one.pipeline_s:9,.0f} {one.images / one.on_device_s:9,.0f}"
        print(
            f"{one.what:12} pipeline {one.pipeline_s:7.2f} s  on device {one.on_device_s:7.2f} s  "
            f"ratio {one.ratio:.2f}  images/s {speeds}",
            flush=True,
        )

    results = compare_inputs(args.models, args.images, args.runs, show)
    if args.json:
        print(json.dumps({"comparisons": [to_json(one) for one in results]}))
    return 0
