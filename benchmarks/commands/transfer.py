"""`python -m benchmarks transfer`."""

import argparse
import json
from typing import Any

from tinysight.console import ProgressLine, positive, require_extra, table
from tinysight.records import to_json


def add(commands: Any) -> None:
    command = commands.add_parser(
        "transfer",
        help="accuracy with few images, from shipped weights against from scratch",
        description="Trains a model on a few images of each class, from its shipped weights and "
        "from random ones, and prints the test accuracy of each.",
    )
    command.add_argument(
        "data",
        nargs="*",
        default=["digits"],
        metavar="DATA",
        help="data sets: digits, a folder or a tar archive (default: digits)",
    )
    command.add_argument(
        "--images",
        type=positive,
        nargs="+",
        default=[20, 100],
        metavar="N",
        help="training images of each class, at least 10 (default: 20 100)",
    )
    command.add_argument(
        "--seeds", type=positive, default=3, metavar="N", help="trainings of each (default: 3)"
    )
    command.add_argument(
        "--model",
        choices=("edge_m", "edge_s"),
        default="edge_m",
        help="model whose weights are started from (default: edge_m)",
    )
    command.add_argument(
        "--starts",
        choices=("pretrained", "scratch", "vgg16_frozen"),
        nargs="+",
        default=["pretrained", "scratch"],
        help="what is compared: shipped weights, random ones, or a head on VGG16's frozen "
        "features, whose weights are found as vgg16_frozen finds them (default: pretrained "
        "scratch)",
    )
    command.add_argument("--json", action="store_true", help="print JSON, a row on each line")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "tensorflow", "tf_keras", "sklearn", "scipy")
    from benchmarks.studies.transfer import Setting, compare_starts, train_setting
    from training.data import Dataset, load_dataset

    progress = ProgressLine()
    datasets = [load_dataset(one, progress=progress) for one in args.data]

    def accuracies(dataset: Dataset, setting: Setting) -> list[float]:
        what = f"{setting.data}, {setting.images} a class, {setting.start}"
        line = _OneLine(progress, what)
        return [
            train_setting(dataset, setting, args.model, seed, line) for seed in range(args.seeds)
        ]

    rows = []
    for row in compare_starts(datasets, args.images, args.starts, accuracies):
        progress.clear()
        if args.json:  # now: a study takes an hour
            print(json.dumps(to_json(row)), flush=True)
        interval = "-" if row.interval is None else "{:.1%} to {:.1%}".format(*row.interval)
        setting = row.setting
        rows.append((setting.data, setting.images, setting.start, f"{row.mean:.1%}", interval))
    if not args.json:
        header = ("data", "images a class", "start", "accuracy", "95 % interval")
        print(table(header, [tuple(map(str, row)) for row in rows]))
        print(f"\n{args.model}; mean of n = {args.seeds} seeds, Student's t")
    return 0


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
