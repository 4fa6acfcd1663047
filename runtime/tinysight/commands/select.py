"""`tinysight select`: the budget first, then what to ship on this device."""

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinysight import device
from tinysight.bundle import Bundle, load_bundle
from tinysight.bursts import in_turns
from tinysight.console import numbers, positive, table
from tinysight.document import read
from tinysight.engine import engine_of, open_engine, runnable
from tinysight.errors import TinysightError
from tinysight.floor import empty_call
from tinysight.measure import Latency, cold_start, correct_answers, noise
from tinysight.results import Bench
from tinysight.select import Budget, Candidate, Selection, pareto_front, select
from tinysight.sources import labelled_batches
from tinysight.statistics import Accuracy, median_interval

SECONDS = 2.0
"""For each artifact, at most: a slow one is called less often."""
BLOCKS = 10
"""Runs of neighbouring samples, whose medians give the interval."""


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
        candidates, floor = recorded(result, named, args.measured)
        described = dict(result.device)
    else:
        bundles = [load_bundle(path) for path in args.bundles or [None]]
        candidates, floor = measured(
            bundles, args.threads, args.samples, args.data, memory=budget.mb_ram is not None
        )
        described = device.describe()
    selection = select(candidates, budget, floor)
    if args.json:
        content = {"device": described, "floor_us": floor, **selection.as_json()}
        print(json.dumps(content, indent=2))
    else:
        _print(selection, candidates, floor, described)
    return 0 if selection.chosen is not None else 1


def measured(
    bundles: Sequence[Bundle],
    threads: Sequence[int],
    samples: int,
    data: Path | None,
    *,
    memory: bool,
) -> tuple[list[Candidate], float]:
    """Every artifact that runs here on every number of threads, and the empty graph, in turns.

    Returns the candidates, and what a call of the empty graph takes on one thread, in us.
    """
    entries = [(bundle, artifact) for bundle in bundles for artifact in runnable(bundle)]
    accuracy = {}
    for bundle, artifact in entries:
        if data is not None:
            run = open_engine(bundle, artifact, device.cores()).run
            batches = labelled_batches(data, bundle)
            accuracy[id(artifact)] = Accuracy(*correct_answers(run, batches))
        elif artifact.accuracy is not None:
            value = artifact.accuracy
            accuracy[id(artifact)] = Accuracy(value["correct"], value["n"])
    candidates, floor = [], 0.0
    # One number of threads after the other: idle pools spin for a while, in each other's way.
    for count in threads:
        images = [noise(bundle) for bundle, _ in entries]
        calls = {
            str(i): partial(open_engine(*entry, count).run, image)
            for i, (entry, image) in enumerate(zip(entries, images, strict=True))
        }
        times = in_turns({"floor": empty_call(images[0]), **calls}, samples, SECONDS)
        taken = {name: Latency(values) for name, values in times.items()}
        floor = min(floor or taken["floor"].median, taken["floor"].median)
        for i, (bundle, artifact) in enumerate(entries):
            latency = taken[str(i)]
            blocks = np.array_split(latency.samples / 1e3, BLOCKS)
            medians = np.array([np.median(block) for block in blocks if block.size])
            candidates.append(
                Candidate(
                    bundle.name,
                    artifact.name,
                    engine_of(artifact),
                    count,
                    latency.median,
                    median_interval(medians),
                    accuracy.get(id(artifact)),
                    artifact.bytes,
                    cold_start(bundle, artifact, count).peak_memory_mb if memory else None,
                )
            )
    return candidates, floor


def recorded(
    result: Bench, bundles: Sequence[Bundle], file: Path
) -> tuple[list[Candidate], float | None]:
    """The candidates in a bench, of these bundles if there are any; and its empty graph, in us.

    Raises TinysightError where it measured none of a bundle's artifacts, or other files.
    """
    for bundle in bundles:
        mine = [entry for entry in result.entries if entry.model == bundle.name]
        if not mine:
            raise TinysightError(f"{file}: {bundle.name} was not measured")
        known = {artifact.sha256 for artifact in bundle.artifacts}
        other = next((entry.artifact for entry in mine if entry.sha256 not in known), None)
        if other is not None:
            raise TinysightError(f"{file}: measured another {other} than {bundle.name} has now")
    names = {bundle.name for bundle in bundles}
    candidates = []
    for cell in result.single():
        entry, start = result.entry(cell.entry), result.start(cell)
        if names and entry.model not in names:
            continue
        candidates.append(
            Candidate(
                entry.model,
                entry.artifact,
                entry.engine,
                cell.threads,
                cell.median,
                cell.interval,
                entry.accuracy,
                entry.bytes,
                None if start is None else start.peak_memory_mb,
            )
        )
    if not candidates:
        raise TinysightError(f"{file}: nothing was measured at batch 1")
    return candidates, min(floor.median for floor in result.floors)


def _print(
    selection: Selection,
    candidates: Sequence[Candidate],
    floor: float | None,
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
        misses = "; ".join(
            str(miss) if miss.got is None else f"{miss} ({miss.by:.0%} beyond)"
            for miss in selection.misses
        )
        print(f"the nearest is {one.name}: {misses}")
    front = pareto_front(candidates)
    rows = [
        (
            candidate.name,
            f"{candidate.us:.1f}",
            "unknown" if candidate.accuracy is None else f"{candidate.accuracy.value:.2%}",
            f"{candidate.bytes / 1000:.0f}",
            "not measured" if candidate.peak_mb is None else f"{candidate.peak_mb:.0f}",
            "yes" if candidate in selection.feasible else "no",
            "yes" if candidate in front else "no",
        )
        for candidate in sorted(candidates, key=lambda c: c.us)
    ]
    header = ("measured", "us", "accuracy", "KB", "peak MB", "keeps the budget", "on the front")
    print("\n" + table(header, rows))
    empty = "" if floor is None else f"; a call of an empty graph takes {floor:.1f} us"
    print(f"\non {described['cpu']}{empty}")
