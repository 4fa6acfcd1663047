"""`tinysight classify`: one line an image, whatever happens to the others."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from tinysight.classifier import Classifier, Prediction
from tinysight.cli.arguments import add_classifier_options, load_classifier
from tinysight.cli.predictions import csv_header, csv_row, prediction_fields, prediction_text
from tinysight.console import HelpFormatter, fail, positive
from tinysight.errors import ImageError, printable
from tinysight.image_files import STDIN, expand_paths
from tinysight.pictures.formats import MAX_PIXELS, MAX_REDUCED_PIXELS, NAMES
from tinysight.pictures.source import MAX_FILE_BYTES

_BATCH = 32
"""Images a call of the engine."""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "classify",
        description="Says what images show, a line each. A file that cannot be read gets its own "
        "line on stderr, and the exit code is then 1; all others are answered. Formats: "
        f"{NAMES}, of at most {MAX_PIXELS // 10**6} million pixels (a JPEG "
        f"{MAX_REDUCED_PIXELS // 10**6}) and {MAX_FILE_BYTES >> 20} MB.",
        epilog="examples:\n"
        "  tinysight classify photo.jpg\n"
        "  tinysight classify --top-k 3 photos/ 'more/*.png'\n"
        "  cat photo.jpg | tinysight classify - --json\n"
        "  tinysight classify --jobs 4 --csv photos/ > answers.csv",
        formatter_class=HelpFormatter,
    )
    command.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="an image file, a folder of them, a glob pattern, or - for standard input",
    )
    form = add_classifier_options(command)
    form.add_argument(
        "--csv",
        action="store_true",
        help="print CSV with a header: path, then label and probability of each ranked class; an "
        "unknown label is empty",
    )
    command.add_argument(
        "--jobs",
        type=positive,
        default=1,
        metavar="N",
        help="processes that read and classify, for many files: as many as the device has cores; "
        "with - it is one (default: 1)",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    classifier = load_classifier(args)
    names = list(expand_paths(args.paths))
    width = max((len(printable(name)) for name in names if isinstance(name, str)), default=0)
    if args.csv:
        args.top_k = min(args.top_k, len(classifier.labels))  # as many columns as a row has
        print(csv_header(args.top_k))
    elif not (args.json or args.bundle or args.watch) and sys.stdout.isatty():
        # Whoever tries it first may not know that it takes an invoice for a truck.
        known = ", ".join(map(printable, classifier.labels))
        print(f"{classifier.bundle.name} knows {known}; --bundle names another.", file=sys.stderr)
    # On a terminal each answer appears as soon as it is there; else batches are quicker.
    batch = 1 if sys.stdout.isatty() else _BATCH
    if args.jobs > 1 and STDIN not in names:  # which another process does not have
        from tinysight.cli.jobs import answers_of_jobs  # late: few need it

        answered = answers_of_jobs(names, args, width)
    else:
        answered = (
            answer_lines(classifier, names[begin : begin + batch], args, width)
            for begin in range(0, len(names), batch)
        )
    failures = 0
    for lines in answered:
        for line in lines:
            if isinstance(line, str):
                print(line)
            else:
                failures += 1
                fail("tinysight", str(line))
    return 1 if failures else 0


def answer_lines(
    classifier: Classifier,
    names: Sequence[str | ImageError],
    args: argparse.Namespace,
    width: int,
) -> list[str | ImageError]:
    """A line of output for each name, or the error of an image that cannot be read.

    Args:
        classifier: answers.
        names: as `expand_paths` gives them.
        args: of the command line.
        width: characters for a name in text.
    """
    sources = [_source(name) for name in names]
    answers = classifier.classify_many(
        [source for source in sources if not isinstance(source, ImageError)],
        batch_size=_BATCH,
        top_k=args.top_k,
        min_confidence=args.min_confidence,
        on_error="yield",
    )
    results = [source if isinstance(source, ImageError) else next(answers) for source in sources]
    return [
        result if isinstance(result, ImageError) else _line(str(name), result, args, width)
        for name, result in zip(names, results, strict=True)
    ]


def _source(name: str | ImageError) -> str | bytes | ImageError:
    return _read_stdin() if name == STDIN else name


def _read_stdin() -> bytes | ImageError:
    """All of standard input, but not more than a file may have."""
    if sys.stdin is None:
        return ImageError("standard input is closed")
    try:
        return sys.stdin.buffer.read(MAX_FILE_BYTES + 1) or b""
    except (OSError, ValueError) as error:
        return ImageError(f"standard input: {getattr(error, 'strerror', None) or error}")


def _line(name: str, prediction: Prediction, args: argparse.Namespace, width: int) -> str:
    if args.json:
        return json.dumps({"path": name, **prediction_fields(prediction)})
    if args.csv:
        return csv_row(name, prediction)
    return f"{printable(name):<{width}}  {prediction_text(prediction)}"
