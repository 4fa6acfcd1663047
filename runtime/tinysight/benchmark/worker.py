"""One pass of `tinysight bench`, run as a process of its own by `tinysight.benchmark.runner`.

A process is one throw of the dice: where its memory lies decides some percent of every latency, for
as long as it lives. So there are several passes, and their spread makes the intervals.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from tinysight.benchmark import sample_photo
from tinysight.benchmark.reference_ops import clock_probe, float32_peak, identity_model_call
from tinysight.benchmark.timing import random_images, time_interleaved
from tinysight.bundle import Artifact, Bundle, load_bundle
from tinysight.device.energy import energy_counter, idle_watts, joules_per_call
from tinysight.engines.registry import open_engine

EMPTY, CLOCK_PROBE = "empty", "clock_probe"


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """Does what `tinysight.benchmark.runner` asks for, and gives it as JSON can hold it."""
    bundles = [load_bundle(folder) for folder in job["folders"]]
    variants = [(bundles[place], bundles[place].artifact(name)) for place, name in job["entries"]]
    calls, seconds = job["calls"], job["seconds"]
    peak = float32_peak()
    measurements, identity_latencies = [], []
    for threads in job["threads"]:
        # One number of threads after the other: idle pools spin for a while, in each other's way.
        engines = [open_engine(*variant, threads) for variant in variants]
        for batch in job["batches"]:
            images = [random_images(bundle, batch) for bundle, _ in variants]
            timed = {
                str(number): partial(engine.run, image)
                for number, (engine, image) in enumerate(zip(engines, images, strict=True))
            }
            beside: dict[str, Callable[[], object]] = {CLOCK_PROBE: clock_probe}
            if batch == 1:
                beside[EMPTY] = identity_model_call(images[0], threads)
            times = time_interleaved({**beside, **timed}, calls, seconds)
            clock = int(np.median(times.pop(CLOCK_PROBE)))
            if batch == 1:
                identity_latencies.append({"threads": threads, "ns": times.pop(EMPTY).tolist()})
            measurements += [
                {
                    "number": int(number),
                    "threads": threads,
                    "batch": batch,
                    "clock_probe": clock,
                    "ns": taken.tolist(),
                }
                for number, taken in times.items()
            ]
    return {
        "peak": asdict(peak),
        "floors": identity_latencies,
        "cells": measurements,
        "preprocessing": [
            {name: taken.tolist() for name, taken in _prepared(bundle, calls, seconds).items()}
            for bundle in bundles
        ],
        "energy": _energy(variants, job["threads"]) if job["energy"] else None,
    }


def _prepared(bundle: Bundle, calls: int, seconds: float) -> Mapping[str, Any]:
    return time_interleaved(sample_photo.calls(bundle), calls, seconds / 2)


def _energy(variants: Sequence[tuple[Bundle, Artifact]], counts: Sequence[int]) -> dict[str, Any]:
    """After all latencies, since it keeps the machine busy for a second for each entry."""
    counter, what = energy_counter()
    if counter is None:
        return {"counter": what, "idle_watts": None, "cells": []}
    idle = idle_watts(counter)
    measurements = []
    for threads in counts:
        for number, (bundle, artifact) in enumerate(variants):
            engine = open_engine(bundle, artifact, threads)
            joules, done = joules_per_call(counter, partial(engine.run, random_images(bundle, 1)))
            measurements.append(
                {"number": number, "threads": threads, "joules": joules, "calls": done}
            )
    return {"counter": what, "idle_watts": idle, "cells": measurements}


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))), flush=True)
