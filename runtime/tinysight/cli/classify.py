"""`tinysight classify`: one line an image, whatever happens to the others."""

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from tinysight.bundle import Bundle
from tinysight.classifier import Prediction
from tinysight.cli.arguments import add_classifier_options, load_classifier
from tinysight.cli.predictions import prediction_fields, prediction_text
from tinysight.console import HelpFormatter, fail
from tinysight.errors import ImageError, printable
from tinysight.image_files import STDIN, expand_paths
from tinysight.pictures.formats import MAX_PIXELS, MAX_REDUCED_PIXELS, NAMES
from tinysight.pictures.source import MAX_FILE_BYTES
from tinysight.preprocess import Pixels, to_pixels


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
        "  cat photo.jpg | tinysight classify - --json",
        formatter_class=HelpFormatter,
    )
    command.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="an image file, a folder of them, a glob pattern, or - for standard input",
    )
    add_classifier_options(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    classifier = load_classifier(args)
    names = list(expand_paths(args.paths))
    width = max((len(printable(name)) for name in names if isinstance(name, str)), default=0)
    waiting: deque[str] = deque()  # names of images that were read and not answered yet
    failures = 0

    def readable(some: Sequence[str | ImageError], bundle: Bundle) -> Iterator[Pixels]:
        nonlocal failures
        for name in some:
            try:
                if isinstance(name, ImageError):
                    raise name
                source = _read_stdin() if name == STDIN else name
                pixels = to_pixels(source, bundle.height, bundle.width, bundle.resample)
            except ImageError as error:
                failures += 1
                fail("tinysight", str(error))
                continue
            waiting.append(name)
            yield pixels

    # On a terminal each answer appears as soon as it is there; else batches are quicker.
    batch = 1 if sys.stdout.isatty() else 32
    for begin in range(0, len(names), batch):
        one = classifier.current()  # a watched store may have gone over to another version
        for prediction in one.classify_many(
            readable(names[begin : begin + batch], one.bundle),
            batch_size=batch,
            top_k=args.top_k,
            min_confidence=args.min_confidence,
        ):
            name = waiting.popleft()
            line = (
                _json_line(name, prediction) if args.json else _text_line(name, width, prediction)
            )
            print(line)
    return 1 if failures else 0


def _read_stdin() -> bytes:
    """All of standard input, but not more than a file may have. Raises ImageError."""
    if sys.stdin is None:
        raise ImageError("standard input is closed")
    try:
        return sys.stdin.buffer.read(MAX_FILE_BYTES + 1) or b""
    except (OSError, ValueError) as error:
        raise ImageError(f"standard input: {getattr(error, 'strerror', None) or error}") from None


def _json_line(name: str, prediction: Prediction) -> str:
    return json.dumps({"path": name, **prediction_fields(prediction)})


def _text_line(name: str, width: int, prediction: Prediction) -> str:
    return f"{printable(name):<{width}}  {prediction_text(prediction)}"
