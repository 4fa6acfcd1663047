"""`python -m benchmarks sweep BUNDLE…`."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysight.cli.arguments import thread_counts
from tinysight.console import HelpFormatter, ProgressLine, numbers, positive, require_extra, table
from tinysight.errors import TinysightError

if TYPE_CHECKING:
    from benchmarks.sweep.result import SweepResult
    from benchmarks.sweep.targets import Target
    from tinysight.records import JsonObject


_DEFAULTS = {"runs": 3000, "processes": 10, "seconds": 0.5, "min_duration": 60.0}
"""Settings by option; those that differ are part of the command that a result records."""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "sweep",
        help="measure latency against accuracy of every artifact",
        description="Times every artifact of every bundle, interleaved and in several new "
        "processes one after the other, and predicts the test images with it. Writes "
        "OUT/sweep.json.gz (with raw samples and predictions), OUT/sweep.md and OUT/sweep.png, "
        "which shows the Pareto front. It can be stopped at any moment: the same command resumes.",
        epilog="examples:\n"
        "  python -m benchmarks sweep bundles/a bundles/b --data cifar10 --out results/today\n"
        "  python -m benchmarks sweep bundles/a --threads 1,2 --batches 1,8,32 --out results/wide",
        formatter_class=HelpFormatter,
    )
    command.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE", help="its folder")
    command.add_argument("--out", type=Path, required=True, help="folder to write")
    command.add_argument(
        "--data",
        help="data set as for training, whose test part gives the accuracy (default: the accuracy "
        "that each bundle recorded)",
    )
    command.add_argument(
        "--toolchains", type=Path, action="append", default=[], metavar="FOLDER",
        help="measure also what `python -m benchmarks toolchains` wrote to FOLDER; may be "
        "repeated, and the first FOLDER belongs to the first BUNDLE (default: none)",
    )  # fmt: skip
    command.add_argument(
        "--layers", type=Path, action="append", default=[], metavar="FILE",
        help="record for the report what `python -m export explain BUNDLE --json` printed; may be "
        "repeated (default: none)",
    )  # fmt: skip
    command.add_argument("--overwrite", action="store_true", help="replace the results in OUT")
    _add_settings(command)
    command.set_defaults(run=run)


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--threads", type=thread_counts, default=(1,), metavar="N,…",
        help="numbers of threads for one call, each 1 to 64 (default: 1)",
    )  # fmt: skip
    command.add_argument(
        "--batches", type=numbers, default=(1,), metavar="N,…",
        help="numbers of images in one call, each at least 1 (default: 1)",
    )  # fmt: skip
    command.add_argument(
        "--runs", type=positive, default=_DEFAULTS["runs"], metavar="N",
        help="timed calls of each measurement, over all processes, at most; at least one for each "
        "process (default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--processes", type=positive, default=_DEFAULTS["processes"], metavar="N",
        help="new processes that share the runs, at least 1; fewer than 6 give no confidence "
        "interval (default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--seconds", type=float, default=_DEFAULTS["seconds"], metavar="S",
        help="seconds of timed calls of each measurement in each process, at most, above 0 "
        "(default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--min-duration", type=float, default=_DEFAULTS["min_duration"], metavar="S",
        help="seconds over which the processes are spread with random pauses, at least: in quick "
        "succession they share one state of the machine; 0 never pauses (default: %(default)s)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    require_extra("bench", "adjustText", "matplotlib", "ai_edge_litert")
    from benchmarks.sweep import result_io
    from benchmarks.sweep.checkpoint import discard
    from benchmarks.sweep.plot import draw
    from benchmarks.sweep.runner import sweep
    from tinysight.benchmark.results import BenchmarkSettings
    from tinysight.files import sole_writer_inside

    out = args.out
    if (out / result_io.NAME).exists() and not args.overwrite:
        raise TinysightError(f"{out / result_io.NAME} exists: --overwrite replaces it")
    try:
        settings = BenchmarkSettings(
            args.threads, args.batches, args.runs, args.processes, args.seconds, args.min_duration
        )
    except ValueError as error:
        raise TinysightError(str(error)) from None
    targets = _targets(args)
    layers = _layers(args.layers)
    counter = ProgressLine()
    dataset = None
    if args.data is not None:
        from training.data import load_dataset

        dataset = load_dataset(args.data, size=targets[0].shape, skip_broken=True, progress=counter)
    with sole_writer_inside(out):
        result = sweep(
            targets, dataset, settings, out, command=_command(args), layers=layers, progress=counter
        )
        counter.clear()
        draw(result, out / "sweep.png")
        header, rows = _table(result)
        markdown = [
            "| " + " | ".join(line) + " |" for line in (header, ["---"] * len(header), *rows)
        ]
        (out / "sweep.md").write_text("\n".join(markdown) + "\n", encoding="utf-8")
        result_io.write(result, out / result_io.NAME)
        discard(out)
    print(table(header, rows))
    print(f"\nWritten to {out}/: {result_io.NAME}, sweep.md, sweep.png")
    return 0


def _targets(args: argparse.Namespace) -> "list[Target]":
    """All that is to be measured: every bundle's artifacts, then other toolchains' conversions."""
    from benchmarks.sweep.targets import of_bundle, require_distinct
    from tinysight.bundle import load_bundle

    bundles = [load_bundle(path) for path in args.bundles]
    targets = [target for bundle in bundles for target in of_bundle(bundle)]
    if len(args.toolchains) > len(bundles):
        raise TinysightError("more --toolchains than bundles: each belongs to one")
    if args.toolchains:
        from benchmarks.sweep.other_toolchains import of_folder

        for bundle, folder in zip(bundles, args.toolchains, strict=False):
            targets += of_folder(folder, bundle.name)
    require_distinct(targets)
    return targets


def _layers(files: Sequence[Path]) -> "dict[str, JsonObject]":
    """By model. Raises TinysightError for what `export explain` did not write."""
    from tinysight.benchmark.results_io import load_document

    found = {}
    for file in files:
        content = load_document(file)
        if not isinstance(content.get("bundle"), str):
            raise TinysightError(f"{file}: not what `python -m export explain --json` prints")
        found[content["bundle"]] = content
    return found


def _command(args: argparse.Namespace) -> str:
    """What to type again. The data's own folders are no part of it: they are this machine's."""
    words = ["python", "-m", "benchmarks", "sweep", *(_portable(path) for path in args.bundles)]
    if args.data is not None:
        # What is here by its name alone: where it lies is this machine's affair.
        words += ["--data", Path(args.data).name if Path(args.data).exists() else args.data]
    for folder in args.toolchains:
        words += ["--toolchains", _portable(folder)]
    for option in ("threads", "batches"):
        values = getattr(args, option)
        if values != (1,):
            words += [f"--{option}", ",".join(map(str, values))]
    for option, default in _DEFAULTS.items():
        if getattr(args, option) != default:
            words += [f"--{option.replace('_', '-')}", f"{getattr(args, option):g}"]
    return shlex.join([*words, "--out", _portable(args.out)])


def _portable(path: Path) -> str:
    """A path as another machine would have it: relative, or its last part."""
    return path.name if path.is_absolute() else str(path)


def _table(result: "SweepResult") -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    from benchmarks.sweep.result import measurements_on_pareto_front

    measurements = result.base
    front = measurements_on_pareto_front(result, measurements)
    rows = []
    for measurement in measurements:
        variant, interval = result.variant(measurement.variant), measurement.interval_us
        rows.append(
            (
                variant.key,
                f"{measurement.median_us:.1f}",
                "too few" if interval is None else "{:.1f} to {:.1f}".format(*interval),
                *(_or_too_few(value) for value in (measurement.p90_us, measurement.p99_us)),
                f"{variant.bytes / 1000:.0f}",
                str(variant.accuracy),
                "yes" if measurement in front else "no",
            )
        )
    header = ("artifact", "median us", "95 %", "p90", "p99", "KB", "test accuracy", "Pareto front")
    return header, rows


def _or_too_few(value: float | None) -> str:
    return "too few" if value is None else f"{value:.1f}"
