"""`python -m benchmarks search`: how the edge family was found."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysight.console import HelpFormatter, positive, require_extra
from tinysight.errors import TinysightError

if TYPE_CHECKING:
    from benchmarks.studies.architecture_search import SearchResult
    from training.console import TrainingConsole


def add(commands: Any) -> None:
    command = commands.add_parser(
        "search",
        help="find the architectures of the edge family: latency first, then short trainings",
        description="Times every candidate for edge_s, edge_m and edge_l, with random weights, "
        "interleaved with the model that it may not be slower than; trains those within that "
        "budget for some epochs; and writes OUT/search.json and OUT/search.md with latency and "
        "validation accuracy of each. The candidates are listed in "
        "benchmarks/studies/architecture_search.py. A search that was stopped is resumed by the "
        "same command.",
        epilog="examples:\n"
        "  python -m benchmarks search --latency --out search\n"
        "  python -m benchmarks search edge_s --data cifar10 --teacher runs/airbench --out search",
        formatter_class=HelpFormatter,
    )
    command.add_argument(
        "members",
        nargs="*",
        metavar="MEMBER",
        help="edge_s, edge_m or edge_l (default: all three)",
    )
    command.add_argument("--out", type=Path, required=True, help="folder to write")
    command.add_argument(
        "--train-dir",
        type=Path,
        default=Path("runs/search"),
        help="folder of the trainings' run folders (default: runs/search)",
    )
    command.add_argument(
        "--data",
        default="cifar10",
        help="dataset to train on: digits, cifar10, a folder or a tar archive (default: cifar10)",
    )
    command.add_argument(
        "--teacher",
        type=Path,
        nargs="+",
        default=(),
        dest="teachers",
        metavar="RUN",
        help="run folders of the teachers to distill from (default: train on the labels alone)",
    )
    command.add_argument(
        "--epochs",
        type=positive,
        default=10,
        help="epochs of each training, at least 1 (default: 10)",
    )
    command.add_argument(
        "--runs",
        type=positive,
        default=1500,
        help="timed calls of each candidate, at least 6 (default: 1500)",
    )
    command.add_argument("--latency", action="store_true", help="measure latency, train nothing")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "tensorflow", "tf_keras", "sklearn", "rich")
    require_extra("export", "tf2onnx", "onnx", "ai_edge_litert")
    from benchmarks.studies.architecture_search import (
        BLOCKS,
        MEMBERS,
        SearchResult,
        markdown,
        measure_candidates,
    )
    from tinysight.files import write_bytes
    from tinysight.records import to_json
    from training.console import TrainingConsole

    members = args.members or list(MEMBERS)
    if unknown := set(members) - set(MEMBERS):
        raise TinysightError(f"no member {', '.join(sorted(unknown))}: {', '.join(MEMBERS)}")
    if args.runs < BLOCKS:
        raise TinysightError(f"--runs must be at least {BLOCKS}")
    args.out.mkdir(parents=True, exist_ok=True)
    with TrainingConsole() as console:
        results = []
        for member in members:  # all latencies first: nothing else may run meanwhile
            reference_us, costs = measure_candidates(MEMBERS[member], args.runs, console.count)
            results.append(SearchResult(member, MEMBERS[member], reference_us, costs))
        if not args.latency:
            _train_candidates(args, results, console)
        text = markdown(results, epochs=args.epochs, distilled=bool(args.teachers))
        write_bytes(args.out / "search.md", text.encode())
        write_bytes(
            args.out / "search.json", (json.dumps(to_json(results), indent=1) + "\n").encode()
        )
    print(text)
    print(f"Written to {args.out}/: search.md, search.json; trainings in {args.train_dir}/")
    return 0


def _train_candidates(
    args: argparse.Namespace, results: "list[SearchResult]", console: "TrainingConsole"
) -> None:
    """Fills in the validation accuracies of all candidates within budget."""
    from benchmarks.studies.architecture_search import validation_accuracy
    from training.data import load_dataset
    from training.distillation.teacher import read_teacher

    dataset = load_dataset(args.data, skip_broken=True, progress=console.count)
    teachers = [read_teacher(folder) for folder in args.teachers]
    for result in results:
        for cost in result.within_budget():
            console.print(f"{result.member}: {cost.stack}")
            result.validation[cost.stack] = validation_accuracy(
                cost.stack,
                dataset,
                args.train_dir,
                console,
                epochs=args.epochs,
                teachers=teachers,
            )
