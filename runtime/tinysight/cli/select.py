"""`tinysight select`: name the artifact to ship on this device within a budget."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinysight.benchmark.results_io import read
from tinysight.benchmark.selection import (
    Budget,
    Candidate,
    Selection,
    candidates_on_pareto_front,
    measure_candidates,
    recorded_candidates,
    select,
)
from tinysight.bundle import load_bundle
from tinysight.cli.arguments import add_bundles, thread_counts
from tinysight.console import HelpFormatter, positive, table
from tinysight.device import info
from tinysight.device.info import DeviceInfo
from tinysight.errors import TinysightError
from tinysight.records import to_json

_LIMITS = (
    "max_latency_us", "min_accuracy", "max_size_kb", "max_ram_mb", "max_flash_kb", "max_arena_kb",
)  # fmt: skip
"""Fields of the budget, and options."""
_RUNS = 2000


def add(commands: Any) -> None:
    command = commands.add_parser(
        "select",
        description="Measures every artifact of the bundles, under every engine that is "
        "installed on this device, and names the one to ship: the most accurate that keeps every "
        "limit, or a faster one that is as accurate within noise. If none keeps the budget it "
        "says why, and names the nearest; the exit code is then 1.",
        epilog="examples:\n"
        "  tinysight select --max-latency-us 80 --min-accuracy 65\n"
        "  tinysight select --bundle bundles/a bundles/b --max-latency-us 500 --threads 1,2\n"
        "  tinysight select --bundle bundles/a bundles/b --max-flash-kb 512 --max-arena-kb 192\n"
        "  tinysight bench --bundle bundles/a bundles/b --json > here.json\n"
        "  tinysight select --from here.json --max-latency-us 80",
        formatter_class=HelpFormatter,
    )
    add_bundles(command)
    limits = command.add_argument_group("limits, at least one, each above 0 (default: no limit)")
    limits.add_argument(
        "--max-latency-us", type=float, metavar="US",
        help="largest median latency at batch 1, in microseconds",
    )  # fmt: skip
    limits.add_argument(
        "--min-accuracy", type=float, metavar="PERCENT", help="smallest accuracy, up to 100 percent"
    )
    limits.add_argument(
        "--max-size-kb", type=float, metavar="KB", help="largest model file, in thousands of bytes"
    )
    limits.add_argument(
        "--max-ram-mb", type=float, metavar="MB", help="largest peak memory of the process, in MB"
    )
    limits.add_argument(
        "--max-flash-kb", type=float, metavar="KB",
        help="largest model on a microcontroller, in thousands of bytes, without the interpreter; "
        "only int8 .tflite artifacts have the figure",
    )  # fmt: skip
    limits.add_argument(
        "--max-arena-kb", type=float, metavar="KB",
        help="largest tensor arena of TensorFlow Lite Micro, in thousands of bytes",
    )  # fmt: skip
    command.add_argument(
        "--data", type=Path, metavar="FOLDER",
        help="labelled images, FOLDER/<label>/* or FOLDER/test/<label>/*, to measure the accuracy "
        "on this device (default: the accuracy that each bundle recorded)",
    )  # fmt: skip
    command.add_argument(
        "--from", dest="result", type=Path, metavar="FILE",
        help="output of `tinysight bench --json` to take the figures from, of the named bundles, "
        "or of all in it; not with --data, --threads or --runs (default: measure now)",
    )  # fmt: skip
    command.add_argument(
        "--threads", type=thread_counts, metavar="N,…",
        help="numbers of threads to try for one call, each 1 to 64 (default: 1)",
    )  # fmt: skip
    command.add_argument(
        "--runs", type=positive, metavar="N",
        help=f"timed calls of each artifact, at most, at least 1 (default: {_RUNS})",
    )  # fmt: skip
    command.add_argument("--json", action="store_true", help="print all figures as JSON")
    command.set_defaults(run=run, error=command.error)


def run(args: argparse.Namespace) -> int:
    for option in ("data", "threads", "runs"):
        if args.result is not None and getattr(args, option) is not None:
            args.error(f"argument --{option}: not allowed with argument --from")
    try:
        budget = Budget(**{name: getattr(args, name) for name in _LIMITS})
    except ValueError as error:
        options = ", ".join("--" + name.replace("_", "-") for name in _LIMITS)
        raise TinysightError(f"{error}: see {options}") from None
    if args.result is not None:
        named = [load_bundle(path) for path in args.bundles]
        result = read(args.result)
        candidates, identity_latency_us = recorded_candidates(result, named, args.result)
        device = result.device
    else:
        bundles = [load_bundle(path) for path in args.bundles or [None]]
        memory = budget.max_ram_mb is not None
        candidates, identity_latency_us = measure_candidates(
            bundles, args.threads or (1,), args.runs or _RUNS, args.data, memory=memory
        )
        device = info.describe()
    selection = select(candidates, budget, identity_latency_us)
    if args.json:
        content = {"device": to_json(device), "identity_latency_us": identity_latency_us}
        print(json.dumps({**content, **to_json(selection)}, indent=2))
    else:
        _print(selection, candidates, identity_latency_us, device)
    return 0 if selection.chosen is not None else 1


def _print(
    selection: Selection,
    candidates: Sequence[Candidate],
    identity_latency_us: float,
    device: DeviceInfo,
) -> None:
    if selection.chosen is not None:
        print(f"ship {selection.chosen.name}")
    else:
        print("nothing that was measured keeps this budget:")
    for reason in selection.reasons:
        print(f"  {reason}")
    if selection.chosen is None:
        violations = "; ".join(
            str(one) if one.excess is None else f"{one} ({one.excess:.0%} beyond)"
            for one in selection.violations
        )
        print(f"the nearest is {selection.nearest.name}: {violations}")
    print("\n" + table(_HEADER, _rows(selection, candidates)))
    print(f"\non {device.cpu}; the identity model takes {identity_latency_us:.1f} us")


_HEADER = (
    "candidate", "median us", "accuracy", "KB", "peak MB", "flash KB", "arena KB", "within budget",
    "Pareto front",
)  # fmt: skip


def _rows(selection: Selection, candidates: Sequence[Candidate]) -> list[tuple[str, ...]]:
    front = candidates_on_pareto_front(candidates)
    return [
        (
            one.name,
            f"{one.latency_us:.1f}",
            "unknown" if one.accuracy is None else f"{one.accuracy.value:.2%}",
            f"{one.bytes / 1000:.0f}",
            "not measured" if one.peak_memory_mb is None else f"{one.peak_memory_mb:.0f}",
            "" if one.microcontroller is None else f"{one.microcontroller.flash_bytes / 1000:.1f}",
            "" if one.microcontroller is None else f"{one.microcontroller.arena_bytes / 1000:.1f}",
            "yes" if one in selection.feasible else "no",
            "yes" if one in front else "no",
        )
        for one in sorted(candidates, key=lambda candidate: candidate.latency_us)
    ]
