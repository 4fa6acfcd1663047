"""`tinysight select`: the budget first, then what to ship on this device."""

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
    measured,
    pareto_front,
    recorded,
    select,
)
from tinysight.bundle import load_bundle
from tinysight.console import numbers, positive, table
from tinysight.device import info
from tinysight.errors import TinysightError


def add(commands: Any) -> None:
    command = commands.add_parser(
        "select",
        help="name what to ship on this device within a budget",
        description="Measures every artifact of the bundles, under every engine that is "
        "installed on this device, and names the one to ship: the most accurate that keeps every "
        "limit, or a quicker one that is as accurate within noise. If none keeps the budget it "
        "says why, and names the nearest; the exit code is then 1.",
        epilog="examples:\n"
        "  tinysight select --max-us 80 --min-acc 65\n"
        "  tinysight select bundles/a bundles/b --max-us 500 --max-kb 200 --threads 1,2\n"
        "  tinysight bench bundles/a bundles/b --json > here.json\n"
        "  tinysight select --from here.json --max-us 80",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "bundles", nargs="*", help="their folders (default: edge_m, shipped as edge_s is)"
    )
    limits = command.add_argument_group("limits, at least one")
    limits.add_argument("--max-us", type=float, help="median latency at batch 1, microseconds")
    limits.add_argument("--min-acc", type=float, help="accuracy, percent")
    limits.add_argument("--max-kb", type=float, help="the model file, in 1000 bytes")
    limits.add_argument("--max-mb-ram", type=float, help="peak memory of the process, MB")
    command.add_argument(
        "--data", type=Path, help="labelled images, to measure the accuracy here: DATA/<label>/* "
        "(default: what each bundle recorded)"
    )  # fmt: skip
    command.add_argument(
        "--from", dest="measured", type=Path, metavar="FILE",
        help="what `tinysight bench --json` printed on the device, instead of measuring now; "
        "of the bundles that are named, or of all that it measured",
    )  # fmt: skip
    command.add_argument(
        "--threads", type=numbers, default=(1,), help="cores for one call to try: 1,2 (1)"
    )
    command.add_argument("--samples", type=positive, default=2000, help="calls timed (2000)")
    command.add_argument("--json", action="store_true", help="all of it, as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        budget = Budget(args.max_us, args.min_acc, args.max_kb, args.max_mb_ram)
    except ValueError as error:
        raise TinysightError(f"{error}: see --max-us, --min-acc, --max-kb, --max-mb-ram") from None
    if args.measured is not None:
        named = [load_bundle(path) for path in args.bundles]
        result = read(args.measured)
        candidates, identity_latency = recorded(result, named, args.measured)
        described = dict(result.device)
    else:
        bundles = [load_bundle(path) for path in args.bundles or [None]]
        candidates, identity_latency = measured(
            bundles, args.threads, args.samples, args.data, memory=budget.mb_ram is not None
        )
        described = info.describe()
    selection = select(candidates, budget, identity_latency)
    if args.json:
        content = {"device": described, "floor_us": identity_latency, **selection.as_json()}
        print(json.dumps(content, indent=2))
    else:
        _print(selection, candidates, identity_latency, described)
    return 0 if selection.chosen is not None else 1


def _print(
    selection: Selection,
    candidates: Sequence[Candidate],
    identity_latency: float | None,
    described: dict[str, Any],
) -> None:
    one = selection.nearest
    if selection.chosen is not None:
        print(f"ship {one.name}")
    else:
        print("nothing that was measured keeps this budget:")
    for reason in selection.reasons:
        print(f"  {reason}")
    if selection.chosen is None:
        violations = "; ".join(
            str(violation)
            if violation.actual is None
            else f"{violation} ({violation.excess:.0%} beyond)"
            for violation in selection.violations
        )
        print(f"the nearest is {one.name}: {violations}")
    front = pareto_front(candidates)
    rows = [
        (
            candidate.name,
            f"{candidate.latency_us:.1f}",
            "unknown" if candidate.accuracy is None else f"{candidate.accuracy.value:.2%}",
            f"{candidate.bytes / 1000:.0f}",
            "not measured" if candidate.peak_mb is None else f"{candidate.peak_mb:.0f}",
            "yes" if candidate in selection.feasible else "no",
            "yes" if candidate in front else "no",
        )
        for candidate in sorted(candidates, key=lambda c: c.latency_us)
    ]
    header = ("measured", "us", "accuracy", "KB", "peak MB", "keeps the budget", "on the front")
    print("\n" + table(header, rows))
    empty = (
        ""
        if identity_latency is None
        else f"; a call of an empty graph takes {identity_latency:.1f} us"
    )
    print(f"\non {described['cpu']}{empty}")
