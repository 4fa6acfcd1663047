"""`tinysight bench`: what a bundle costs on this device, and what it is worth."""

import argparse
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinysight import device
from tinysight.bundle import load_bundle
from tinysight.console import Counter, positive, table
from tinysight.measure import ColdStart, Latency, cold_start, correct_answers, interleave
from tinysight.session import Session
from tinysight.sources import labelled_batches
from tinysight.statistics import Accuracy


def add(commands: Any) -> None:
    command = commands.add_parser(
        "bench",
        help="measure a bundle on this device",
        description="Measures every ONNX artifact of a bundle at batch 1: the latency of the "
        "engine in microseconds (all artifacts in turns, warm-up discarded), and in a fresh "
        "process the time to load and the peak memory. With labelled images, the accuracy too.",
    )
    command.add_argument("bundle", nargs="?", help="its folder (default: CIFAR-10, shipped)")
    command.add_argument(
        "--data", type=Path, help="labelled images: DATA/<label>/* or DATA/test/<label>/*"
    )
    command.add_argument("--samples", type=positive, default=2000, help="calls timed (2000)")
    command.add_argument("--threads", type=positive, default=1, help="cores for one call")
    command.add_argument("--json", action="store_true", help="all figures as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    bundle = load_bundle(args.bundle)
    artifacts = [artifact for artifact in bundle.artifacts if artifact.format == "onnx"]
    sessions = {a.name: Session.open(bundle, a, args.threads) for a in artifacts}
    accuracy: dict[str, Accuracy] = {}
    if args.data is not None:  # first, since a wrong folder is told before the long measurement
        for name, session in sessions.items():
            accuracy[name] = Accuracy(
                *correct_answers(session.run, labelled_batches(args.data, bundle))
            )
    # Noise, not zeros: no kernel of ours is quicker on zeros, but an engine might come to be.
    image = np.random.default_rng(0).integers(
        0, 256, (1, bundle.height, bundle.width, 3), dtype=np.uint8
    )
    calls = {name: partial(session.run, image) for name, session in sessions.items()}
    counter = Counter()
    latency = interleave(calls, args.samples, partial(counter, "timing, in turns"))
    counter.clear()
    cold = {a.name: cold_start(bundle, a, args.threads) for a in artifacts}
    if args.json:
        result = {
            "bundle": bundle.name,
            "device": device.describe(),
            "threads": args.threads,
            "artifacts": {
                name: {
                    "latency": latency[name].as_json(),
                    "cold_start": asdict(cold[name]),
                    "accuracy": accuracy[name].as_json() if name in accuracy else None,
                }
                for name in sessions
            },
        }
        print(json.dumps(result, indent=2))
        return 0
    described = device.describe()
    print(f"{bundle.name} on {described['cpu']}, {args.threads} of {described['cores']} cores")
    print(f"batch 1, {args.samples:,} calls each, in turns; microseconds\n")
    print(table(_HEADER, [_row(n, latency[n], cold[n], accuracy.get(n)) for n in sessions]))
    return 0


_HEADER = ("artifact", "median", "p90", "p99", "images/s", "load ms", "peak MB", "accuracy")


def _row(
    name: str, latency: Latency, cold: ColdStart, accuracy: Accuracy | None
) -> tuple[str, ...]:
    p90, p99 = (latency.percentile(p) for p in (90, 99))
    return (
        name,
        f"{latency.median:.1f}",
        "too few" if p90 is None else f"{p90:.1f}",
        "too few" if p99 is None else f"{p99:.1f}",
        f"{latency.as_json()['images_per_second']:,.0f}",
        f"{cold.load_ms:.1f}",
        "unknown" if cold.peak_memory_mb is None else f"{cold.peak_memory_mb:.0f}",
        "no data given" if accuracy is None else str(accuracy),
    )
