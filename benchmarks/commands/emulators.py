"""`python -m benchmarks emulators [BUNDLE …]`."""

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from tinysight.console import HelpFormatter, ProgressLine, positive, require_extra, table

_IMAGES = 500


def add(commands: Any) -> None:
    command = commands.add_parser(
        "emulators",
        help="compare a bundle's answers on emulated CPUs with this workstation's",
        description="Runs every artifact of every bundle on emulated CPUs (Cortex-A53, A72 and "
        "A76 of the Raspberry Pi 3, 4 and 5; x86 without VNNI: Nehalem, Haswell, Skylake-Client): "
        "the golden answers, and images whose top-1 and logits are compared with this "
        "workstation's. `make emulators` installs what it needs (Debian, Ubuntu's x86 CPUs; root). "
        "Exit code 1 when any artifact answers otherwise.",
        epilog="examples:\n"
        "  python -m benchmarks emulators\n"
        "  python -m benchmarks emulators bundles/mine --data cifar10 --out results/emulators",
        formatter_class=HelpFormatter,
    )
    command.add_argument(
        "bundles",
        nargs="*",
        type=Path,
        metavar="BUNDLE",
        help="bundle folders, or names of bundles in the wheel (default: all in the wheel)",
    )
    command.add_argument(
        "--data",
        help="dataset that the bundles were trained on, whose test images are classified: digits, "
        "cifar10, a folder or a tar archive (default: parts of two photographs)",
    )
    command.add_argument(
        "--images",
        type=positive,
        default=_IMAGES,
        help=f"number of images, at least 1 (default: {_IMAGES})",
    )
    command.add_argument(
        "--cpus",
        nargs="+",
        metavar="CPU",
        help="CPUs by their names in qemu (default: all six)",
    )
    command.add_argument(
        "--out", type=Path, help="folder to write emulators.json and emulators.md into"
    )
    command.add_argument("--json", action="store_true", help="print the result as one JSON object")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("litert", "ai_edge_litert")
    from benchmarks.emulators.answers import Work, measure
    from benchmarks.emulators.cpus import cpus_named
    from benchmarks.emulators.images import images_to_classify
    from benchmarks.emulators.markdown import HEADER, as_markdown, rows, verdict
    from benchmarks.emulators.records import FILE, as_text
    from tinysight.bundle import load_bundle, shipped_bundles
    from tinysight.files import write_bytes
    from tinysight.records import to_json

    cpus = cpus_named(args.cpus)
    bundles = [load_bundle(path) for path in args.bundles or map(Path, shipped_bundles())]
    progress = ProgressLine()
    work = [
        Work(bundle, images_to_classify(bundle, args.data, args.images, progress))
        for bundle in bundles
    ]
    source = _source(args.data, len(work[0].images))
    result = measure(work, cpus, source, progress)
    progress.clear()
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        write_bytes(args.out / FILE, as_text(result).encode())
        page = as_markdown(result, _command(args))
        write_bytes((args.out / FILE).with_suffix(".md"), page.encode())
    if args.json:
        print(json.dumps(to_json(result)))
    else:
        print(table(HEADER, rows(result)))
        for cpu, reason in result.excluded.items():
            print(f"{cpu} was not emulated: {reason}")
        print(f"\n{verdict(result)}")
    return 0 if result.ok else 1


def _source(data: str | None, count: int) -> str:
    """What `images_to_classify` gave."""
    return f"{count:,} {'parts of two photographs' if data is None else 'test images'}"


def _command(args: argparse.Namespace) -> str:
    """What makes the result again; the data by the word that stands for it, not by its path."""
    words = ["python", "-m", "benchmarks", "emulators", *map(str, args.bundles)]
    if args.data is not None:
        words += ["--data", "DATA" if Path(args.data).exists() else args.data]
    if args.images != _IMAGES:
        words += ["--images", str(args.images)]
    if args.cpus:
        words += ["--cpus", *args.cpus]
    return shlex.join([*words, "--out", str(args.out)])
