"""Latency against accuracy, measured side by side. `python -m benchmarks --help`."""

import contextlib

with contextlib.suppress(ModuleNotFoundError):  # outside the environment: training.launch says so
    import tinysight as tinysight  # before any module here imports onnxruntime: see its docstring
