"""Reference operations: what no model can beat here, and what shows the core's clock.

The identity model is the cost of one call to onnxruntime, large matrix products are the core's
arithmetic, and the clock probe is a fixed amount of work.
"""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinysight.benchmark.onnx_bytes import identity_model, matmul_model
from tinysight.engines.ort import make_session
from tinysight.preprocess import Pixels


def identity_model_call(image: Pixels, threads: int = 1) -> Callable[[], object]:
    """Runs the identity model on an image, with the settings that models are run with."""
    session = make_session(identity_model(), threads)
    feed = {"image": np.ascontiguousarray(image)}
    return lambda: session.run(["same"], feed)


SIDE = 512
"""Of the matrices: three of them are 3 MB, most of which stays in the caches near the core."""
_BLAS = ("OPENBLAS", "OMP", "MKL", "BLIS")
ONE_THREAD = {"VECLIB_MAXIMUM_THREADS": "1", **{f"{name}_NUM_THREADS": "1" for name in _BLAS}}
"""What keeps numpy's BLAS on one thread, in the environment of a new process."""


@dataclass(frozen=True, slots=True)
class Float32Peak:
    """The rate of float32 multiply-accumulates that large matrix products reach here."""

    macs_per_us: float
    """The best of many products, multiply-accumulates per microsecond."""
    backend: str
    """Whose product that was: numpy or onnxruntime."""
    cores: float
    """CPU time over elapsed time while it was measured: 1 for one thread."""

    def __post_init__(self) -> None:
        if not (0 < self.macs_per_us < math.inf and 0 < self.cores < math.inf):
            raise ValueError("the float32 peak must be above 0, and finite")


def float32_peak(seconds: float = 0.1) -> Float32Peak:
    """Multiplies matrices for so long with numpy, and with onnxruntime: the higher rate.

    On some CPUs numpy's BLAS lacks the widest instructions that the engines use, and stays at half
    of what they reach. Start the process with `ONE_THREAD` to measure one core.
    """
    rng = np.random.default_rng(0)
    a, b = rng.random((2, SIDE, SIDE), dtype=np.float32)
    product = np.empty_like(a)
    session = make_session(matmul_model())
    return max(
        _rate("numpy", lambda: np.matmul(a, b, out=product), seconds),
        _rate("onnxruntime", lambda: session.run(["product"], {"a": a, "b": b}), seconds),
        key=lambda peak: peak.macs_per_us,
    )


def clock_probe() -> object:
    """A fixed amount of work in the innermost cache: its time depends on the core's clock alone.

    Timed interleaved with models, it shows how much of a change in their latencies is the
    machine's: a core that the system, or the host of a virtual machine, clocks 2 % lower takes 2 %
    longer for everything.
    """
    return hashlib.sha256(_CLOCK_PROBE_INPUT)


_CLOCK_PROBE_INPUT = bytes(16384)


def _rate(backend: str, multiply: Callable[[], object], seconds: float) -> Float32Peak:
    multiply()
    best, began, cpu = math.inf, time.perf_counter(), time.process_time()
    now = began
    while best == math.inf or now < began + seconds:  # once at least, however busy the machine is
        start = time.perf_counter()
        multiply()
        now = time.perf_counter()
        best = min(best, now - start)
    cores = (time.process_time() - cpu) / (time.perf_counter() - began)
    return Float32Peak(SIDE**3 / best / 1e6, backend, cores)
