"""`tinysight bulk`: a table of answers for any number of images."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from tinysight.cli.arguments import add_classifier_options
from tinysight.console import HelpFormatter, ProgressLine, positive, require_extra
from tinysight.records import to_json


def add(commands: Any) -> None:
    command = commands.add_parser(
        "bulk",
        help="classify any number of images into Parquet",
        description="Classifies images in several processes, or on many machines, by Daft, and "
        "writes a folder of Parquet files with the columns path, label, probability, top and "
        "error. An image that cannot be read has an error in place of a label and does not end the "
        "run. Killed at any time, the same command goes on with what is missing. A SOURCE is a "
        "file, a folder, a pattern, an uncompressed .tar archive, a .parquet file with a column "
        "image (or bytes, content) of image files or path (or url, file) of their names, or a URL "
        "of images that Daft reads (s3://, gs://, az://, https://, file://).",
        epilog="examples:\n"
        "  tinysight bulk photos/ --out answers.parquet\n"
        "  tinysight bulk 'shards/*.tar' --out answers.parquet --jobs 8\n"
        "  DAFT_RUNNER=ray tinysight bulk 's3://bucket/**/*.jpg' --out answers.parquet --jobs 64",
        formatter_class=HelpFormatter,
    )
    command.add_argument("sources", nargs="+", metavar="SOURCE", help="images, see above")
    command.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="folder to write (required)"
    )
    command.add_argument(
        "--jobs",
        type=positive,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes that read and classify, on all machines together (default: as many as "
        "this device has cores)",
    )
    add_classifier_options(command, many=True)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("bulk", "daft", "pyarrow")
    from tinysight.bulk.run import Options, bulk

    line = ProgressLine()
    options = Options(args.bundle, args.artifact, args.engine, args.top_k, args.min_confidence)
    try:
        summary = bulk(args.sources, args.out, options, args.jobs, line)
    finally:
        line.clear()
    if args.json:
        print(json.dumps({**to_json(summary), "out": str(args.out)}))
        return 0
    kept = f", of which {summary.resumed_parts} were there" if summary.resumed_parts else ""
    print(
        f"{summary.images:,} images: {summary.answered:,} answered, {summary.unknown:,} unknown, "
        f"{summary.errors:,} that cannot be read"
    )
    print(f"Written to {args.out}/: {summary.parts} Parquet files{kept}")
    return 0
