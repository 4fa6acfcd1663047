"""`python -m training advise DATA`."""

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tinysight.console import require_extra, table
from tinysight.errors import printable
from tinysight.records import to_json

if TYPE_CHECKING:
    from training.advise import Advice

_SHOWN = 10
"""Of near duplicates."""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "advise",
        help="look at a data set, and say what to try first",
        description="Prints how many pictures each class has, their size, what cannot be read, "
        "which test pictures are nearly training pictures, and the command to train with. Trains "
        "nothing.",
        epilog="example: python -m training advise my_images/",
    )
    command.add_argument("data", metavar="DATA", help="images, as `run --data` takes them")
    command.add_argument("--json", action="store_true", help="print JSON (default: text)")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "sklearn", "rich")
    from training.advise import advise
    from training.console import TrainingConsole
    from training.data import load_dataset

    with TrainingConsole() as console:
        dataset = load_dataset(args.data, skip_broken=True, progress=console.count)
        advice = advise(dataset, args.data, console.count)
    print(json.dumps(to_json(advice), indent=2) if args.json else "\n".join(_lines(advice)))
    return 0


def _lines(advice: "Advice") -> Iterator[str]:
    width, height = advice.median_size
    yield f"{advice.title}: the median picture has {width} x {height} pixels"
    yield ""
    labels = list(advice.counts["train"])
    rows = [(label, *(f"{part[label]:,}" for part in advice.counts.values())) for label in labels]
    yield table(("class", *advice.counts), rows)
    yield ""
    for note in advice.notes:
        yield f"Note: {note}."
    for picture in advice.broken:
        yield f"    {printable(picture)}"
    for suggestion in advice.suggestions:
        yield f"- {suggestion}"
    for pair in advice.duplicates[:_SHOWN]:
        yield f"    {printable(pair.test)}  {printable(pair.train)}  correlation {pair.correlation}"
    if len(advice.duplicates) > _SHOWN:
        yield f"    and {len(advice.duplicates) - _SHOWN} more: --json has all"
    yield f"Next: {advice.command}"
