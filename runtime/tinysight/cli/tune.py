"""`tinysight tune`: let the device choose artifact, engine and threads, once and for all."""

import argparse
import json
from typing import Any

from tinysight.benchmark.tuning import Tuning, TuningCandidate, tune
from tinysight.bundle import load_bundle
from tinysight.console import ProgressLine, positive, table
from tinysight.device import info, tuned_profile


def add(commands: Any) -> None:
    command = commands.add_parser(
        "tune",
        help="find the quickest way to run a bundle here",
        description="Measures every artifact of a bundle that an installed engine runs, on 1, 2, "
        "4 … threads, at batch 1 and in turns, and keeps the quickest as this device's profile: "
        "from then on Classifier.load and `tinysight classify` go by it. What does not give the "
        "golden answers here, or is too far behind in accuracy, cannot win; what is quicker "
        "within noise only does not replace the default.",
        epilog="More engines to choose from: pip install 'tinysight[litert]'",
    )
    command.add_argument(
        "bundle", nargs="?", help="its folder, or edge_m (default) or edge_s, which are shipped"
    )
    command.add_argument(
        "--max-drop", type=float, default=1.0,
        help="points of accuracy that the winner may be behind the best artifact (1.0)",
    )  # fmt: skip
    command.add_argument("--max-threads", type=positive, help="to try (all cores)")
    command.add_argument("--samples", type=positive, default=2000, help="calls timed (2000)")
    command.add_argument("--forget", action="store_true", help="remove the profile instead")
    command.add_argument("--json", action="store_true", help="all of it, as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    bundle = load_bundle(args.bundle)
    if args.delete:
        forgotten = tuned_profile.delete(bundle)
        print(f"{bundle.name}: " + ("profile removed" if forgotten else "there was no profile"))
        return 0
    counter = ProgressLine()
    tuning = tune(
        bundle,
        max_drop=args.max_drop,
        max_threads=args.max_threads or info.cores(),
        samples=args.samples,
        progress=counter,
    )
    counter.clear()
    winner = tuning.winner
    path = tuned_profile.save(
        bundle, tuned_profile.Profile(winner.artifact.name, winner.threads, winner.as_json())
    )
    if args.json:
        result = {
            "bundle": bundle.name,
            "device": info.describe(),
            "winner": winner.as_json(),
            "contestants": [contestant.as_json() for contestant in tuning.contestants],
            "left_out": dict(tuning.excluded),
            "profile": str(path),
        }
        print(json.dumps(result, indent=2))
        return 0
    print(f"{bundle.name} on {info.describe()['cpu']}, batch 1, microseconds\n")
    print(table(_HEADER, [_row(contestant, tuning.default) for contestant in tuning.contestants]))
    for name, reason in tuning.excluded:
        print(f"left out: {name} {reason}")
    print(f"\n{_verdict(tuning)}")
    print(f"Written to {path}. Classifier.load uses it; `tinysight tune --forget` removes it.")
    return 0


_HEADER = ("artifact", "engine", "threads", "median", "ratio to the default (95 %)", "verdict")


def _row(contestant: TuningCandidate, default: TuningCandidate) -> tuple[str, ...]:
    ratio = contestant.ratio
    verdict = "within noise" if ratio.within_noise else "quicker" if ratio.high < 1 else "slower"
    if contestant is default:
        verdict = "the default"
    return (
        contestant.artifact.name,
        contestant.engine,
        str(contestant.threads),
        f"{contestant.latency.median:.1f}",
        f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})",
        verdict,
    )


def _verdict(tuning: Tuning) -> str:
    winner = tuning.winner
    if winner is tuning.default:
        name = winner.artifact.name
        return f"The default, {name} on one thread, stays: nothing is quicker for certain."
    plural = "" if winner.threads == 1 else "s"
    return (
        f"{winner.artifact.name} with {winner.engine} on {winner.threads} thread{plural} takes "
        f"{winner.ratio.value:.2f} of the default's time."
    )
