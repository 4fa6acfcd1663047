"""`python -m benchmarks report RESULT…`."""

import argparse
from pathlib import Path
from typing import Any

from tinysight.console import HelpFormatter, ProgressLine, require_extra
from tinysight.errors import TinysightError


def add(commands: Any) -> None:
    command = commands.add_parser(
        "report",
        help="results as one HTML page, and as Markdown and PNG",
        description="Writes OUT/report.html (one file, no network: the interactive Pareto front, "
        "latency distributions, confusion matrices, disagreements on single images, the device), "
        "OUT/report.md and OUT/pareto_front.png. Results of sweeps and what `tinysight bench "
        "--json` printed on devices may be mixed; two results are compared.",
        epilog="example:\n  python -m benchmarks report results/today --data cifar10 --out report",
        formatter_class=HelpFormatter,
    )
    command.add_argument(
        "results",
        nargs="+",
        type=Path,
        metavar="RESULT",
        help="output folder of a sweep, or the JSON file of a sweep or of `tinysight bench`",
    )
    command.add_argument("--out", type=Path, required=True, help="folder to write")
    command.add_argument(
        "--data",
        help="dataset of the sweep, to show the images on which two models disagree: digits, "
        "cifar10, a folder or a tar archive (default: their numbers alone)",
    )
    command.add_argument(
        "--title",
        default="Latency against accuracy",
        help="heading of the report (default: Latency against accuracy)",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("bench", "adjustText", "matplotlib", "jinja2")
    from benchmarks.report.html_page import page
    from benchmarks.report.markdown import PARETO_FRONT, markdown
    from benchmarks.sweep.plot import draw
    from benchmarks.sweep.result import has_accuracy
    from benchmarks.sweep.result_io import read
    from tinysight.files import write_bytes

    results = [read(path) for path in args.results]
    images = None
    if args.data is not None:
        from training.data import load_dataset

        dataset = load_dataset(args.data, progress=ProgressLine())
        fingerprints = {result.data.fingerprint for result in results if result.data is not None}
        if fingerprints != {dataset.fingerprint}:
            raise TinysightError(f"{args.data} is not the dataset that these results classified")
        images = dataset.images[dataset.parts["test"]]
    html = page(results, args.title, images)
    args.out.mkdir(parents=True, exist_ok=True)
    written = ["report.html", "report.md"]
    if has_accuracy(results[0]):
        draw(results[0], args.out / PARETO_FRONT)
        written.append(PARETO_FRONT)
    write_bytes(args.out / "report.md", markdown(results, args.title).encode())
    write_bytes(args.out / "report.html", html.encode())
    print(f"Written to {args.out}/: {', '.join(written)}")
    return 0
