"""`python -m benchmarks sweep BUNDLE…`."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysight.console import ProgressLine, positive, require_extra, table
from tinysight.errors import TinysightError

if TYPE_CHECKING:
    from benchmarks.sweep.result import Result
    from benchmarks.sweep.targets import Target


_USUAL = {"samples": 3000, "passes": 10, "seconds": 0.5, "spread": 60.0}
"""Settings by option; those that differ are part of the command that a result records."""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "sweep",
        help="latency against accuracy for every artifact",
        description="Times every artifact of every bundle, in turns and in several processes one "
        "after the other, and answers the test images with it. Writes OUT/sweep.json.gz (with the "
        "raw samples and answers), OUT/sweep.md and OUT/sweep.png, in which the Pareto front is "
        "drawn. It can be stopped at any moment: the same command goes on.",
        epilog="examples:\n"
        "  python -m benchmarks sweep bundles/a bundles/b --data cifar10 --out results/today\n"
        "  python -m benchmarks sweep bundles/a --threads 1,2 --batches 1,8,32 --out results/wide",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE")
    command.add_argument(
        "--data", help="as for training; its test part is answered (default: the accuracy that "
        "each bundle recorded at its export)"
    )  # fmt: skip
    command.add_argument(
        "--peers",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="also the plain conversions that `python -m benchmarks peers` wrote; the first "
        "FOLDER belongs to the first BUNDLE, and so on",
    )
    command.add_argument("--out", type=Path, required=True, help="the folder to write")
    command.add_argument(
        "--threads", type=numbers, default=(1,), help="cores for one call: 1,2 is both (1)"
    )
    command.add_argument(
        "--batches", type=numbers, default=(1,), help="images in one call: 1,8,32 (1)"
    )
    command.add_argument(
        "--samples",
        type=positive,
        default=_USUAL["samples"],
        help="timed calls each, at most (3000)",
    )
    command.add_argument(
        "--passes",
        type=positive,
        default=_USUAL["passes"],
        help="processes that share these calls (10); fewer than 6 give no interval",
    )
    command.add_argument(
        "--seconds",
        type=float,
        default=_USUAL["seconds"],
        help="for each in each pass, at most (0.5)",
    )
    command.add_argument(
        "--spread",
        type=float,
        default=_USUAL["spread"],
        help="seconds over which the passes are strewn, with random pauses, at least (60): in "
        "quick succession they share one state of the machine; 0 pauses never",
    )
    command.add_argument(
        "--layers",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="what `python -m export explain BUNDLE --json` printed: recorded for the report",
    )
    command.add_argument("--overwrite", action="store_true", help="replace results that are there")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("bench", "matplotlib", "ai_edge_litert", "jsonschema")
    from benchmarks.sweep import result_io
    from benchmarks.sweep.plot import draw
    from benchmarks.sweep.runner import Settings, sweep

    out = args.out
    if (out / result_io.NAME).exists() and not args.overwrite:
        raise TinysightError(f"{out / result_io.NAME} exists: --overwrite replaces it")
    try:
        settings = Settings(
            args.threads, args.batches, args.samples, args.passes, args.seconds, args.spread
        )
    except ValueError as error:
        raise TinysightError(str(error)) from None
    sweep_targets = _entrants(args)
    counter = ProgressLine()
    dataset = None
    if args.data is not None:
        from training.data import load_dataset

        dataset = load_dataset(args.data, size=sweep_targets[0].shape, progress=counter)
    out.mkdir(parents=True, exist_ok=True)
    result = sweep(
        sweep_targets,
        dataset,
        settings,
        out,
        command=_command(args),
        layers=_layers(args.layers),
        progress=counter,
    )
    counter.clear()
    draw(result, out / "sweep.png")
    header, rows = _table(result)
    markdown = ["| " + " | ".join(line) + " |" for line in (header, ["---"] * len(header), *rows)]
    (out / "sweep.md").write_text("\n".join(markdown) + "\n", encoding="utf-8")
    result_io.write(result, out / result_io.NAME)
    from benchmarks.sweep.checkpoint import discard

    discard(out)
    print(table(header, rows))
    print(f"\nWritten to {out}/: {result_io.NAME}, sweep.md, sweep.png")
    return 0


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers from 1 between commas, for argparse."""
    return tuple(positive(part) for part in text.split(","))


def _entrants(args: argparse.Namespace) -> "list[Target]":
    """All that is to be measured: every bundle's artifacts, then other tools' peers of them."""
    from benchmarks.sweep.targets import checked, of_bundle
    from tinysight.bundle import load_bundle

    bundles = [load_bundle(path) for path in args.bundles]
    sweep_targets = [target for bundle in bundles for target in of_bundle(bundle)]
    if len(args.peers) > len(bundles):
        raise TinysightError("more --peers than bundles: each belongs to one")
    if args.peers:
        from benchmarks.sweep.other_toolchains import of_folder

        for bundle, folder in zip(bundles, args.peers, strict=False):
            sweep_targets += of_folder(folder, bundle.name)
    return checked(sweep_targets)


def _layers(files: list[Path]) -> dict[str, Any]:
    """By model. Raises TinysightError for what `export explain` did not write."""
    from benchmarks.sweep.result_io import document

    found = {}
    for file in files:
        content = document(file)
        if not isinstance(content.get("bundle"), str):
            raise TinysightError(f"{file}: not what `python -m export explain --json` prints")
        found[content["bundle"]] = content
    return found


def _command(args: argparse.Namespace) -> str:
    """What to type again. The data's own folders are no part of it: they are this machine's."""
    words = ["python", "-m", "benchmarks", "sweep", *(_shown(path) for path in args.bundles)]
    if args.data is not None:
        # What is here by its name alone: where it lies is this machine's affair.
        words += ["--data", Path(args.data).name if Path(args.data).exists() else args.data]
    for folder in args.peers:
        words += ["--peers", _shown(folder)]
    for option in ("threads", "batches"):
        values = getattr(args, option)
        if values != (1,):
            words += [f"--{option}", ",".join(map(str, values))]
    for option, usual in _USUAL.items():
        if getattr(args, option) != usual:
            words += [f"--{option}", f"{getattr(args, option):g}"]
    return shlex.join([*words, "--out", _shown(args.out)])


def _shown(path: Path) -> str:
    """A path as another machine would have it: relative, or its last part."""
    return path.name if path.is_absolute() else str(path)


def _table(result: "Result") -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    from benchmarks.sweep.result import front

    measurements = result.base
    best = front(result, measurements)
    rows = []
    for measurement in measurements:
        variant = result.variant(measurement.variant)
        rows.append(
            (
                variant.key,
                f"{measurement.median:.1f}",
                "too few"
                if measurement.interval is None
                else "{:.1f} to {:.1f}".format(*measurement.interval),
                *(_percentile(measurement.latency.percentile(p)) for p in (90, 99)),
                f"{variant.bytes / 1000:.0f}",
                str(variant.accuracy),
                "yes" if measurement in best else "no",
            )
        )
    header = ("artifact", "median us", "95 %", "p90", "p99", "KB", "test accuracy", "on the front")
    return header, rows


def _percentile(value: float | None) -> str:
    return "too few" if value is None else f"{value:.1f}"
