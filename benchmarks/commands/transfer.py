"""`python -m benchmarks transfer`."""

import argparse
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysight.console import (
    HelpFormatter,
    ProgressLine,
    positive,
    require_extra,
    table,
)
from tinysight.errors import TinysightError
from tinysight.files import write_bytes
from tinysight.records import to_json

if TYPE_CHECKING:
    from benchmarks.studies.transfer import Row, Setting
    from training.data import Dataset


def add(commands: Any) -> None:
    command = commands.add_parser(
        "transfer",
        help="accuracy with few images, from shipped weights against without them",
        description="Draws a few images of each class, trains a model on them from its shipped "
        "weights, and the same without: from random weights, or as a head on VGG16's frozen "
        "features. Repeats it with other images for each seed, prints test accuracies and their "
        "paired differences, and writes report.md and transfer.json. A study that was stopped is "
        "resumed by the same command.",
        epilog="examples:\n"
        "  python -m benchmarks transfer digits --out study\n"
        "  python -m benchmarks transfer my_images --per-class 20 --seeds 3 --out study",
        formatter_class=HelpFormatter,
    )
    command.add_argument(
        "data",
        metavar="DATA",
        help="digits, a folder or a tar archive; without test images, all that are not drawn test",
    )
    command.add_argument(
        "--per-class",
        type=positive,
        nargs="+",
        default=[20, 100],
        metavar="N",
        help="images drawn of each class, at least 10; a fifth validates (default: 20 100)",
    )
    command.add_argument(
        "--seeds", type=positive, default=5, metavar="N", help="trainings of each (default: 5)"
    )
    command.add_argument(
        "--model",
        choices=("edge_m", "edge_s"),
        default="edge_m",
        help="model whose weights are started from (default: edge_m)",
    )
    command.add_argument(
        "--against",
        choices=("scratch", "vgg16_frozen"),
        nargs="*",
        default=["scratch"],
        help="what the shipped weights are compared with: random ones, or a head on VGG16's frozen "
        "features, whose weights are found as vgg16_frozen finds them (default: scratch)",
    )
    command.add_argument(
        "--epochs",
        type=positive,
        help="of every training, for a quick look (default: each recipe's own)",
    )
    command.add_argument(
        "--no-flip",
        action="store_true",
        help="flip no image in any training, for things that are others in the mirror, as digits",
    )
    command.add_argument("--out", type=Path, required=True, help="folder to write the report to")
    command.add_argument(
        "--train-dir",
        type=Path,
        default=Path("runs/transfer"),
        help="folder of the trainings' run folders (default: runs/transfer)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "tensorflow", "tf_keras", "sklearn", "scipy")
    from benchmarks.studies.transfer import compare_starts, differences, markdown, train_setting

    progress = ProgressLine()
    dataset = _load(args, progress)
    folder = args.train_dir / dataset.name
    settings: dict[str, Any] = {"flip": False} if args.no_flip else {}
    if args.epochs is not None:
        settings["epochs"] = args.epochs

    def accuracies(setting: "Setting") -> tuple[list[float], int]:
        what = f"{setting.data}, {setting.per_class} a class, {setting.start}"
        found = [
            train_setting(
                dataset,
                setting,
                args.model,
                seed,
                folder,
                _OneLine(progress, f"{what}, seed {seed + 1} of {args.seeds}"),
                **settings,
            )
            for seed in range(args.seeds)
        ]
        return [accuracy for accuracy, _ in found], found[0][1]

    starts = ("pretrained", *args.against)
    rows = list(compare_starts(dataset, args.per_class, starts, accuracies))
    progress.clear()
    result = {
        "data": dataset.title,
        "fingerprint": dataset.fingerprint,
        "model": args.model,
        "rows": to_json(rows),
        "differences": to_json(differences(rows)),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    report = markdown(dataset.title, args.model, rows, _command(args))
    write_bytes(args.out / "report.md", report.encode())
    write_bytes(args.out / "transfer.json", (json.dumps(result, indent=1) + "\n").encode())
    if args.json:
        print(json.dumps(result))
        return 0
    _print(rows, args)
    return 0


def _load(args: argparse.Namespace, progress: ProgressLine) -> "Dataset":
    """The data; raises TinysightError for images that the weights were trained on."""
    from training.data import load_dataset
    from training.data.cifar10 import ATTRIBUTION

    refused = TinysightError(
        f"the weights of {args.model} were trained on CIFAR-10: name other data"
    )
    if args.data == "cifar10":  # said before it is downloaded
        raise refused
    dataset = load_dataset(args.data, skip_broken=True, progress=progress)
    if dataset.attribution == ATTRIBUTION:
        progress.clear()
        raise refused
    return dataset


def _print(rows: "list[Row]", args: argparse.Namespace) -> None:
    from benchmarks.studies.transfer import differences, display_start, points

    cells = []
    for row in rows:
        interval = "-" if row.interval is None else "{:.1%} to {:.1%}".format(*row.interval)
        start = display_start(row.setting.start, args.model)
        cells.append((str(row.setting.per_class), start, f"{row.mean:.1%}", interval))
    print(table(("images a class", "start", "accuracy", "95 % interval"), cells))
    for one in differences(rows):
        print(
            f"{one.setting.per_class} a class, weights of {args.model} against "
            f"{display_start(one.setting.start, args.model)}: {100 * one.mean:+.1f} points, "
            f"95 % {points(one.interval)}: {one.verdict}"
        )
    print(f"\nmean of n = {args.seeds} seeds, Student's t; differences are paired by seed")
    print(f"Written to {args.out}/: report.md, transfer.json; trainings in {args.train_dir}/")


def _command(args: argparse.Namespace) -> str:
    """That repeats the study, on any machine; a folder by its name alone."""
    words = ["transfer", Path(args.data).name, "--per-class", *map(str, args.per_class)]
    words += ["--seeds", str(args.seeds), "--model", args.model, "--against", *args.against]
    if args.epochs is not None:
        words += ["--epochs", str(args.epochs)]
    if args.no_flip:
        words.append("--no-flip")
    return shlex.join(["python", "-m", "benchmarks", *words, "--out", "study"])


class _OneLine:
    """A `training.progress.Progress` that says which setting is trained, and how far it is."""

    def __init__(self, line: ProgressLine, what: str) -> None:
        self._line, self._what, self._epochs = line, what, 0

    def count(self, what: str, done: int, total: int) -> None:
        """Too quick to be shown: an epoch of few images takes a second."""

    def started(self, done: int, epochs: int) -> None:
        self._epochs = epochs
        self._line(self._what, done, epochs)

    def finished_epoch(self, epoch: int, row: dict[str, float]) -> None:  # noqa: ARG002
        self._line(self._what, epoch + 1, self._epochs)
