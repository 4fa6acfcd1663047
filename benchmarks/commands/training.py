"""`python -m benchmarks training`."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tinysight.console import positive, require_extra
from tinysight.errors import TinysightError
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
        metavar="MODEL",
        help=f"recipes: {', '.join(MODELS)}; with --xla, any model that XLA computes rightly "
        "(default: all; none, without --xla, measures the input alone)",
    )
    command.add_argument(
        "--images", type=positive, default=10_000, help="images an epoch (default: 10,000)"
    )
    command.add_argument(
        "--runs", type=positive, default=5, help="measurements of each, at least 1 (default: 5)"
    )
    command.add_argument(
        "--batch-size",
        type=positive,
        help="images of a step that --xla measures (default: the recipe's)",
    )
    command.add_argument(
        "--xla",
        action="store_true",
        help="measure instead the step of each model, on labels and distilled, plain and compiled "
        "by XLA, alternately, and the largest relative difference of a loss of the first three "
        "steps; all models take a quarter of an hour on a CPU; IMAGES has no effect",
    )
    command.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16", "float16"),
        help="arithmetic of the steps that --xla measures (default: the recipe's)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "tensorflow", "tf_keras")
    if args.xla:
        return _run_xla(args)
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

    models = MODELS if args.models is None else _known(args.models, MODELS)
    results = compare_inputs(models, args.images, args.runs, show)
    if args.json:
        print(json.dumps({"comparisons": [to_json(one) for one in results]}))
    return 0


def _known(models: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    for model in models:
        if model not in known:
            raise TinysightError(f"{model} is not one of {', '.join(known)}")
    return models


def _run_xla(args: argparse.Namespace) -> int:
    from benchmarks.studies.training_step import CASES, CompiledStep, compare_compiled

    def show(one: CompiledStep) -> None:
        if args.json:
            return
        print(
            f"{one.what:25} batch {one.batch_size:3}  plain {one.plain_s * 1e3:8.1f} ms  "
            f"XLA {one.compiled_s * 1e3:8.1f} ms  ratio {one.ratio:5.2f}  "
            f"compiling {one.compiling_s:4.1f} s  difference {one.difference:.0e}",
            flush=True,
        )

    known = list(dict.fromkeys(recipe.model for recipe in CASES.values()))
    names = _known(args.models or known, known)
    cases = {
        what: replace(recipe, precision=args.precision or recipe.precision)
        for what, recipe in CASES.items()
        if recipe.model in names
    }
    results = compare_compiled(args.batch_size, args.runs, show, cases)
    if args.json:
        print(json.dumps({"steps": [to_json(one) for one in results]}))
    return 0
