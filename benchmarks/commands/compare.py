"""`python -m benchmarks compare FIRST SECOND`."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinysight.console import table
from tinysight.errors import TinysightError

if TYPE_CHECKING:
    from benchmarks.sweep.compare import Pair


def add(commands: Any) -> None:
    command = commands.add_parser(
        "compare",
        help="test whether two sweeps agree",
        description="Compares two sweeps of the same artifacts, measurement by measurement. Two "
        "medians agree when the 95 % interval of their ratio holds 1. The exit code is 1 when "
        "fewer than 95 % of the measurements agree. It also says how many agree when all are "
        "scaled to one clock by the clock probe, a fixed amount of work timed in every process.",
    )
    command.add_argument(
        "first",
        type=Path,
        help="result file of a sweep or of `tinysight bench`, or a sweep's folder",
    )
    command.add_argument("second", type=Path, help="likewise")
    command.add_argument("--json", action="store_true", help="print all figures as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from benchmarks.sweep.compare import MIN_AGREEMENT, agreement, clock_note, pair
    from benchmarks.sweep.result_io import read

    pairs = pair(read(args.first), read(args.second))
    if not pairs:
        raise TinysightError("the two results have no measurement in common")
    agreeing, known = agreement(p.agree for p in pairs)
    if not known:
        raise TinysightError("a result has no intervals: sweep with at least 4 processes")
    ok = agreeing >= MIN_AGREEMENT * known
    if args.json:
        print(json.dumps(_as_json(pairs, agreeing, known, ok)))
        return 0 if ok else 1
    header = ("measurement (threads x batch)", "first us", "second us", "ratio", "95 %", "agree")
    print(table(header, [_row(p) for p in pairs]))
    share = f"{agreeing / known:.0%}; required: {MIN_AGREEMENT:.0%}"
    print(f"\n{agreeing} of {known} medians agree ({share})")
    if note := clock_note(pairs):
        print(note)
    return 0 if ok else 1


def _as_json(
    pairs: "list[Pair]", agreeing: int, known: int, ok: bool
) -> dict[str, int | dict[str, float]]:
    from benchmarks.sweep.compare import agreement

    return {
        "agreeing": agreeing,
        "measurements": known,
        "ok": ok,
        "agreeing_at_one_clock": agreement(p.agree_at_one_clock for p in pairs)[0],
        "ratios": {" ".join(map(str, p.first.key)): p.ratio for p in pairs},
    }


def _row(p: "Pair") -> tuple[str, ...]:
    return (
        f"{p.first.variant} ({p.first.threads} x {p.first.batch})",
        f"{p.first.median_us:.1f}",
        f"{p.second.median_us:.1f}",
        f"{p.ratio:.3f}",
        "too few" if p.interval is None else "{:.3f} to {:.3f}".format(*p.interval),
        {True: "yes", False: "NO", None: "unknown"}[p.agree],
    )
