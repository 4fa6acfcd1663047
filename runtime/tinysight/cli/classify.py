"""`tinysight classify`: one line an image, whatever happens to the others."""

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

from tinysight.classifier import Prediction
from tinysight.cli.arguments import add_classifier_options, load_classifier
from tinysight.cli.predictions import prediction_fields, prediction_text
from tinysight.console import HelpFormatter, fail
from tinysight.errors import ImageError
from tinysight.image_files import STDIN, expand_paths
from tinysight.preprocess import Pixels, to_pixels


def add(commands: Any) -> None:
    command = commands.add_parser(
        "classify",
        description="Says what images show, a line each. A file that cannot be read gets its own "
        "line on stderr, and the exit code is then 1; all others are answered.",
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
    bundle = classifier.bundle
    names = list(expand_paths(args.paths))
    width = max((len(name) for name in names if isinstance(name, str)), default=0)
    waiting: deque[str] = deque()  # names of images that were read and not answered yet
    failures = 0

    def readable() -> Iterator[Pixels]:
        nonlocal failures
        for name in names:
            try:
                if isinstance(name, ImageError):
                    raise name
                source = sys.stdin.buffer.read() if name == STDIN else name
                pixels = to_pixels(source, bundle.height, bundle.width, bundle.resample)
            except ImageError as error:
                failures += 1
                fail("tinysight", str(error))
                continue
            waiting.append(name)
            yield pixels

    # On a terminal each answer appears as soon as it is there; else batches are quicker.
    batch = 1 if sys.stdout.isatty() else 32
    for prediction in classifier.classify_many(
        readable(), batch_size=batch, top_k=args.top_k, min_confidence=args.min_confidence
    ):
        name = waiting.popleft()
        print(_json_line(name, prediction) if args.json else _text_line(name, width, prediction))
    return 1 if failures else 0


def _json_line(name: str, prediction: Prediction) -> str:
    return json.dumps({"path": name, **prediction_fields(prediction)}, ensure_ascii=False)


def _text_line(name: str, width: int, prediction: Prediction) -> str:
    return f"{name:<{width}}  {prediction_text(prediction)}"
