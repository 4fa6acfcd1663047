"""Latency against accuracy, measured side by side. `python -m benchmarks --help`."""

import tinysight as tinysight  # before any module here imports onnxruntime: see its docstring
