"""`python -m benchmarks report RESULT…`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysight.console import HelpFormatter, ProgressLine, require_extra
from tinysight.errors import TinysightError

if TYPE_CHECKING:
    from benchmarks.sweep.result import SweepResult
    from tinysight.preprocess import Pixels


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
    images = None if args.data is None else _test_images(args.data, results)
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


def _test_images(data: str, results: "Sequence[SweepResult]") -> "Pixels":
    """The images that the results classified, uint8 (n, height, width, 3).

    Raises TinysightError for other data, or where the results are not of one dataset.
    """
    from training.data import load_dataset

    classified = [result.data for result in results if result.data is not None]
    if not classified:
        raise TinysightError("no result has answers to single images: omit --data")
    progress = ProgressLine()
    # As the sweep loaded it: pixels of another size have another fingerprint.
    dataset = load_dataset(data, size=classified[0].shape, skip_broken=True, progress=progress)
    progress.clear()
    if {one.fingerprint for one in classified} != {dataset.fingerprint}:
        raise TinysightError(f"{data} is not the dataset that these results classified")
    return dataset.images[dataset.parts["test"]]
