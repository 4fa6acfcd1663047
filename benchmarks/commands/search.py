"""`python -m benchmarks search`: how the edge family was found."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinysight.console import require_extra


def add(commands: Any) -> None:
    search = commands.add_parser(
        "search",
        help="find the shapes of the edge family: latency first, then short trainings",
        description="Times every candidate for edge_s, edge_m and edge_l, with random weights, "
        "beside the model that it may not be slower than; trains those within that budget for some "
        "epochs; and writes OUT/search.json and OUT/search.md with latency and validation accuracy "
        "of each. The candidates stand in benchmarks/search.py. Stopped, it goes on where it was.",
        epilog="examples:\n"
        "  python -m benchmarks search --latency --out search\n"
        "  python -m benchmarks search edge_s --data cifar10 --teacher runs/airbench --out search",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    search.add_argument("places", nargs="*", metavar="MEMBER", help="edge_s, edge_m, edge_l (all)")
    search.add_argument("--out", type=Path, required=True, help="the folder to write")
    search.add_argument("--runs", type=Path, default=Path("runs/search"), help="of the trainings")
    search.add_argument("--data", default="cifar10", help="what to train on (cifar10)")
    search.add_argument(
        "--teacher", type=Path, nargs="+", default=(), dest="teachers", metavar="RUN",
        help="finished runs that teach (the labels do)",
    )  # fmt: skip
    search.add_argument("--epochs", type=int, default=10, help="of each training (10)")
    search.add_argument("--calls", type=int, default=1500, help="timed calls of each (1500)")
    search.add_argument("--latency", action="store_true", help="time them only, train nothing")
    search.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "tensorflow", "tf_keras", "sklearn", "rich")
    require_extra("export", "tf2onnx", "onnx", "ai_edge_litert")
    from benchmarks.studies.architecture_search import PLACES, Found, costs, table, validated
    from tinysight.errors import TinysightError
    from tinysight.files import write_bytes
    from training.console import TrainingConsole
    from training.data import load_dataset
    from training.distillation.teacher import read_teacher

    places = args.places or list(PLACES)
    if unknown := set(places) - set(PLACES):
        raise TinysightError(f"no member {', '.join(sorted(unknown))}: {', '.join(PLACES)}")
    args.out.mkdir(parents=True, exist_ok=True)
    with TrainingConsole() as screen:
        found = []
        for place in places:  # all latencies first: nothing else may run meanwhile
            microseconds, timed = costs(PLACES[place], args.calls, screen.count)
            found.append(Found(place, PLACES[place], microseconds, timed))
        if not args.latency:
            dataset = load_dataset(args.data, progress=screen.count)
            teachers = [read_teacher(folder) for folder in args.teachers]
            for one in found:
                for cost in one.in_budget():
                    screen.say(f"{one.name}: {cost.stack}")
                    one.validation[cost.stack] = validated(
                        cost.stack, dataset, args.runs, screen,
                        epochs=args.epochs, teachers=teachers,
                    )  # fmt: skip
        text = table(found, epochs=args.epochs, distilled=bool(args.teachers))
        write_bytes(args.out / "search.md", text.encode())
        record = [one.as_json() for one in found]
        write_bytes(args.out / "search.json", (json.dumps(record, indent=1) + "\n").encode())
    print(text)
    print(f"Written to {args.out}/: search.md, search.json; trainings in {args.runs}/")
    return 0
