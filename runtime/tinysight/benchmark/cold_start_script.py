"""Run as a process of its own by `tinysight.benchmark.cold_start`: times the way to an answer."""

import importlib
import json
import sys
import time
from pathlib import Path


def main(folder: str, artifact: str, engine_module: str, threads: str) -> None:
    start = time.perf_counter()
    import numpy as np

    importlib.import_module(engine_module)
    from tinysight import Classifier

    imported = time.perf_counter()
    classifier = Classifier.load(folder, artifact=artifact, threads=int(threads))
    loaded = time.perf_counter()
    bundle = classifier.bundle
    classifier.classify(np.zeros((bundle.height, bundle.width, 3), dtype=np.uint8))
    answered = time.perf_counter()
    times = {
        "import_ms": 1e3 * (imported - start),
        "load_ms": 1e3 * (loaded - imported),
        "first_answer_ms": 1e3 * (answered - loaded),
        "peak_memory_mb": peak_memory_mb(),
    }
    print(json.dumps(times), flush=True)


def peak_memory_mb() -> float | None:
    """The largest resident memory of this process so far; None where the system hides it."""
    try:
        # Not getrusage: on Linux that counts what the parent held when it started this process.
        status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)  # bytes there, KB elsewhere


if __name__ == "__main__":
    main(*sys.argv[1:])
