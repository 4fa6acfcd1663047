"""`python -m benchmarks compare FIRST SECOND`."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinysight.console import require_extra, table
from tinysight.errors import TinysightError


def add(commands: Any) -> None:
    command = commands.add_parser(
        "compare",
        help="two sweeps: do their medians agree?",
        description="Sets two sweeps of the same artifacts against each other, cell by cell. Two "
        "medians agree when the 95 %% interval of their ratio holds 1. Exit code 1 when fewer than "
        "95 %% of the cells agree. Beside it stands how many agree once the core's clock, "
        "measured by a fixed piece of work in every pass, is taken out.",
    )
    command.add_argument("first", type=Path, help="a result file, or the folder that holds it")
    command.add_argument("second", type=Path)
    command.add_argument("--json", action="store_true", help="as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("bench", "jsonschema")
    from benchmarks.sweep.compare import AGREEING, agreement, clock_note, pair
    from benchmarks.sweep.result_io import read

    pairs = pair(read(args.first), read(args.second))
    if not pairs:
        raise TinysightError("the two results have no cell in common")
    agreeing, told = agreement(pair.agree for pair in pairs)
    if not told:
        raise TinysightError("neither result has intervals: sweep with at least 4 passes")
    enough = agreeing >= AGREEING * told
    if args.json:
        print(
            json.dumps(
                {
                    "agreeing": agreeing,
                    "cells": told,
                    "ok": enough,
                    "agreeing_at_one_clock": agreement(p.agree_at_one_clock for p in pairs)[0],
                    "ratios": {" ".join(map(str, p.first.place)): p.ratio for p in pairs},
                }
            )
        )
        return 0 if enough else 1
    header = ("cell (threads x batch)", "first us", "second us", "ratio", "95 %", "agree")
    rows = [
        (
            f"{p.first.variant} ({p.first.threads} x {p.first.batch})",
            f"{p.first.median:.1f}",
            f"{p.second.median:.1f}",
            f"{p.ratio:.3f}",
            "none" if p.interval is None else "{:.3f} to {:.3f}".format(*p.interval),
            {True: "yes", False: "NO", None: "cannot tell"}[p.agree],
        )
        for p in pairs
    ]
    print(table(header, rows))
    print(f"\n{agreeing} of {told} medians agree ({agreeing / told:.0%}; wanted: {AGREEING:.0%})")
    if note := clock_note(pairs):
        print(note)
    return 0 if enough else 1
