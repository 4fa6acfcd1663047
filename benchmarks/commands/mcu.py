"""`python -m benchmarks mcu`."""

import argparse
import json
from typing import TYPE_CHECKING, Any

from tinysight.console import ProgressLine, require_extra, table
from tinysight.records import to_json

if TYPE_CHECKING:
    from benchmarks.studies.microcontroller import Agreement, Answers, MicrocontrollerFigures


def add(commands: Any) -> None:
    command = commands.add_parser(
        "mcu",
        help="flash, arena and answers of bundles in TensorFlow Lite Micro",
        description="Runs the int8 artifact of each bundle in TensorFlow Lite Micro: a table of "
        "flash and tensor arena; with --data also the accuracy, and how often LiteRT answers "
        "otherwise.",
    )
    command.add_argument(
        "bundles",
        nargs="+",
        metavar="BUNDLE",
        help="bundle folder, or the name of a bundle in the wheel",
    )
    command.add_argument(
        "--data",
        metavar="SOURCE",
        help="dataset that the bundles were trained on: digits, cifar10, a folder or a tar "
        "archive; its test images are classified, about 100 a second (default: none)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON array")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("mcu", "tflite_micro", "ai_edge_litert")
    if args.data is not None:
        require_extra("train", "sklearn")
    from benchmarks.studies.microcontroller import measure_microcontroller
    from tinysight.bundle import load_bundle

    progress = ProgressLine()
    figures = []
    for bundle in [load_bundle(path) for path in args.bundles]:
        images = targets = None
        if args.data is not None:
            from benchmarks.studies.training_data import load_training_data, test_indices

            dataset = load_training_data(bundle, args.data, progress)
            chosen = test_indices(bundle, dataset)
            images, targets = dataset.images[chosen], dataset.targets[chosen]
        figures.append(measure_microcontroller(bundle, images, targets, progress))
    progress.clear()
    print(json.dumps(to_json(figures), indent=1) if args.json else _text(figures))
    return 0


def _text(figures: "list[MicrocontrollerFigures]") -> str:
    header = ("bundle", "MMAC", "accuracy", "flash KB", "arena KB", "CMSIS-NN scratch KB")
    rows = [
        (
            one.bundle,
            "unknown" if one.macs is None else f"{one.macs / 1e6:.1f}",
            "unknown" if one.accuracy is None else f"{one.accuracy.value:.2%}",
            f"{one.flash_bytes / 1000:.1f}",
            f"{one.arena_bytes / 1000:.1f}",
            f"{one.cmsis_scratch_bytes / 1000:.1f}",
        )
        for one in figures
    ]
    text = (
        f"{table(header, rows)}\n\nKB are 1000 bytes. Flash is the model alone; the arena is that "
        "of the reference kernels on a 64-bit machine."
    )
    answers = [(one.bundle, one.answers) for one in figures if one.answers is not None]
    return f"{text}\n\n{_answers_text(answers)}" if answers else text


def _answers_text(answers: "list[tuple[str, Answers]]") -> str:
    header = (
        "bundle", "accuracy in TFLM", "in LiteRT", "same top-1 as LiteRT, XNNPACK",
        "as its reference kernels",
    )  # fmt: skip
    rows = [
        (
            name,
            f"{one.accuracy.value:.2%}",
            f"{one.litert_accuracy.value:.2%}",
            _agreement(one.litert, one.accuracy.n),
            _agreement(one.litert_reference, one.accuracy.n),
        )
        for name, one in answers
    ]
    return (
        f"{table(header, rows)}\n\n"
        "In parentheses: logits that are equal; the largest difference, in steps of int8."
    )


def _agreement(agreement: "Agreement", images: int) -> str:
    return (
        f"{agreement.same_top1:,} of {images:,} ({agreement.equal_logits:.2%}; "
        f"{agreement.max_steps})"
    )
