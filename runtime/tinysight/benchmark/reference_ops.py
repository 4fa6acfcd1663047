"""What no model here can beat: the cost of the call itself, and the core's arithmetic.

And what tells one state of the machine from another: a fixed piece of work.
"""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinysight.benchmark.onnx_bytes import identity_model, matmul_model
from tinysight.preprocess import Pixels


def identity_model_call(image: Pixels, threads: int = 1) -> Callable[[], object]:
    """Runs the empty graph on an image, with the settings that models are run with."""
    session = _session(identity_model(), threads)
    feed = {"image": np.ascontiguousarray(image)}
    return lambda: session.run(["same"], feed)


SIDE = 512
"""Of the matrices: three of them are 3 MB, most of which stays in the caches near the core."""
_BLAS = ("OPENBLAS", "OMP", "MKL", "BLIS")
ONE_THREAD = {"VECLIB_MAXIMUM_THREADS": "1", **{f"{name}_NUM_THREADS": "1" for name in _BLAS}}
"""What keeps numpy's BLAS on one thread, in the environment of a process that starts afresh."""


@dataclass(frozen=True, slots=True)
class Peak:
    """How quickly float32 multiply-accumulates go here, by large matrix products."""

    macs_per_us: float
    """The best of many products."""
    backend: str
    """Whose product that was."""
    cores: float
    """CPU time over time, as it was measured: 1 for one thread."""

    def __post_init__(self) -> None:
        if not (0 < self.macs_per_us < math.inf and 0 < self.cores < math.inf):
            raise ValueError("a peak is above 0, and finite")


def float32_peak(seconds: float = 0.1) -> Peak:
    """Multiplies matrices for so long with numpy, and with onnxruntime: the quicker one's rate.

    On some CPUs numpy's BLAS lacks the widest instructions that the engines use, and stays at half
    of what they reach. Start the process with `ONE_THREAD` to mean one core.
    """
    draw = np.random.default_rng(0)
    a, b = draw.random((2, SIDE, SIDE), dtype=np.float32)
    product = np.empty_like(a)
    session = _session(matmul_model(), 1)
    return max(
        _rate("numpy", lambda: np.matmul(a, b, out=product), seconds),
        _rate("onnxruntime", lambda: session.run(["product"], {"a": a, "b": b}), seconds),
        key=lambda peak: peak.macs_per_us,
    )


def clock_probe() -> object:
    """A fixed piece of work in the innermost cache: how long it takes is the core's clock alone.

    Timed in turns with models, it tells how much of a change in their latencies is the machine's:
    a core that the system, or the host of a virtual machine, clocks 2 % lower takes 2 % longer
    for everything.
    """
    return hashlib.sha256(_WORK)


_WORK = bytes(16384)


def _rate(name: str, multiply: Callable[[], object], seconds: float) -> Peak:
    multiply()
    best, began, cpu = math.inf, time.perf_counter(), time.process_time()
    while (now := time.perf_counter()) < began + seconds:
        multiply()
        best = min(best, time.perf_counter() - now)
    cores = (time.process_time() - cpu) / (time.perf_counter() - began)
    return Peak(SIDE**3 / best / 1e6, name, cores)


def _session(model: bytes, threads: int) -> Any:
    import onnxruntime  # late, as in tinysight.engines.ort

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
