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
from tinysight.benchmark.reference_ops import empty_call, float32_peak, yardstick
from tinysight.benchmark.timing import in_turns, noise
from tinysight.bundle import Artifact, Bundle, load_bundle
from tinysight.device.energy import energy_counter, idle_watts, joules_per_call
from tinysight.engines.registry import open_engine

EMPTY, YARDSTICK = "empty", "yardstick"


def measure(job: Mapping[str, Any]) -> dict[str, Any]:
    """Does what `tinysight.benchmark.runner` asks for, and gives it as JSON can hold it."""
    bundles = [load_bundle(folder) for folder in job["folders"]]
    entries = [(bundles[place], bundles[place].artifact(name)) for place, name in job["entries"]]
    calls, seconds = job["calls"], job["seconds"]
    peak = float32_peak()
    cells, floors = [], []
    for threads in job["threads"]:
        # One number of threads after the other: idle pools spin for a while, in each other's way.
        engines = [open_engine(*entry, threads) for entry in entries]
        for batch in job["batches"]:
            images = [noise(bundle, batch) for bundle, _ in entries]
            timed = {
                str(number): partial(engine.run, image)
                for number, (engine, image) in enumerate(zip(engines, images, strict=True))
            }
            beside: dict[str, Callable[[], object]] = {YARDSTICK: yardstick}
            if batch == 1:
                beside[EMPTY] = empty_call(images[0], threads)
            times = in_turns({**beside, **timed}, calls, seconds)
            clock = int(np.median(times.pop(YARDSTICK)))
            if batch == 1:
                floors.append({"threads": threads, "ns": times.pop(EMPTY).tolist()})
            cells += [
                {
                    "number": int(number),
                    "threads": threads,
                    "batch": batch,
                    "yardstick": clock,
                    "ns": taken.tolist(),
                }
                for number, taken in times.items()
            ]
    return {
        "peak": asdict(peak),
        "floors": floors,
        "cells": cells,
        "preparations": [
            {name: taken.tolist() for name, taken in _prepared(bundle, calls, seconds).items()}
            for bundle in bundles
        ],
        "energy": _energy(entries, job["threads"]) if job["energy"] else None,
    }


def _prepared(bundle: Bundle, calls: int, seconds: float) -> Mapping[str, Any]:
    return in_turns(sample_photo.calls(bundle), calls, seconds / 2)


def _energy(entries: Sequence[tuple[Bundle, Artifact]], counts: Sequence[int]) -> dict[str, Any]:
    """After all latencies, since it keeps the machine busy for a second for each entry."""
    counter, what = energy_counter()
    if counter is None:
        return {"counter": what, "idle_watts": None, "cells": []}
    idle = idle_watts(counter)
    cells = []
    for threads in counts:
        for number, (bundle, artifact) in enumerate(entries):
            engine = open_engine(bundle, artifact, threads)
            joules, done = joules_per_call(counter, partial(engine.run, noise(bundle, 1)))
            cells.append({"number": number, "threads": threads, "joules": joules, "calls": done})
    return {"counter": what, "idle_watts": idle, "cells": cells}


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))), flush=True)
