"""`tinysight tune`: measure on this device, and keep the fastest way to run a bundle."""

import argparse
import json
from typing import Any

from tinysight.benchmark.tuning import Tuning, TuningCandidate, tune
from tinysight.bundle import load_bundle
from tinysight.cli.arguments import add_bundle, thread_count
from tinysight.console import ProgressLine, positive, table
from tinysight.device import info, tuned_profile
from tinysight.engines.registry import MAX_THREADS
from tinysight.errors import TinysightError
from tinysight.records import to_json


def add(commands: Any) -> None:
    command = commands.add_parser(
        "tune",
        description="Measures the latency of every artifact of a bundle that an installed engine "
        "runs, on 1, 2, 4, … threads, at batch 1 and interleaved, and saves the fastest as this "
        "device's profile: Classifier.load and `tinysight classify` then follow it. An artifact "
        "that does not give the golden answers here, or is too far behind in accuracy, is "
        "excluded; the default is replaced only by what is significantly faster.",
        epilog="More engines to choose from: pip install 'tinysight[litert]'",
    )
    add_bundle(command)
    command.add_argument(
        "--max-accuracy-drop", type=float, default=1.0, metavar="POINTS",
        help="percentage points of accuracy that the winner may be below the best artifact, "
        "0 or more (default: 1.0)",
    )  # fmt: skip
    command.add_argument(
        "--max-threads", type=thread_count, metavar="N",
        help="largest number of threads to try, 1 to 64 (default: all cores)",
    )  # fmt: skip
    command.add_argument(
        "--runs", type=positive, default=2000, metavar="N",
        help="timed calls of each candidate, at most, at least 1 (default: 2000)",
    )  # fmt: skip
    command.add_argument(
        "--reset", action="store_true", help="delete this device's profile instead of measuring"
    )
    command.add_argument("--json", action="store_true", help="print all figures as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    bundle = load_bundle(args.bundle)
    if args.reset:
        existed = tuned_profile.delete(bundle)
        print(f"{bundle.name}: " + ("profile deleted" if existed else "there was no profile"))
        return 0
    if not args.max_accuracy_drop >= 0:
        raise TinysightError("--max-accuracy-drop must be 0 or more")
    # Before the measuring: where a profile cannot be kept, that would be for nothing.
    tuned_profile.profiles_folder().mkdir(parents=True, exist_ok=True)
    counter = ProgressLine()
    tuning = tune(
        bundle,
        max_accuracy_drop=args.max_accuracy_drop,
        max_threads=args.max_threads or min(info.cores(), MAX_THREADS),
        runs=args.runs,
        progress=counter,
    )
    counter.clear()
    winner = tuning.winner
    path = tuned_profile.save(
        bundle,
        tuned_profile.TunedProfile(
            winner.artifact, winner.threads, winner.median_us, winner.ratio_to_default
        ),
    )
    device = info.describe()
    if args.json:
        content = {"bundle": bundle.name, "device": to_json(device), **to_json(tuning)}
        print(json.dumps({**content, "profile": str(path)}, indent=2))
        return 0
    print(f"{bundle.name} on {device.cpu}, batch 1, microseconds\n")
    print(table(_HEADER, [_row(candidate, tuning.default) for candidate in tuning.candidates]))
    for one in tuning.excluded:
        print(f"excluded: {one.artifact} {one.reason}")
    print(f"\n{_verdict(tuning)}")
    print(f"Written to {path}. Classifier.load uses it; `tinysight tune --reset` deletes it.")
    return 0


_HEADER = ("artifact", "engine", "threads", "median", "ratio to the default (95 %)", "verdict")


def _row(candidate: TuningCandidate, default: TuningCandidate) -> tuple[str, ...]:
    ratio = candidate.ratio_to_default
    verdict = "within noise" if ratio.within_noise else "faster" if ratio.high < 1 else "slower"
    if candidate is default:
        verdict = "the default"
    return (
        candidate.artifact,
        candidate.engine,
        str(candidate.threads),
        f"{candidate.median_us:.1f}",
        f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})",
        verdict,
    )


def _verdict(tuning: Tuning) -> str:
    winner = tuning.winner
    if winner is tuning.default:
        return (
            f"The default, {winner.artifact} on one thread, stays: nothing is significantly faster."
        )
    plural = "" if winner.threads == 1 else "s"
    return (
        f"{winner.artifact} with {winner.engine} on {winner.threads} thread{plural} takes "
        f"{winner.ratio_to_default.value:.2f} of the default's time."
    )
