"""From a trained run to a bundle that a device can trust. `python -m export --help`."""

import contextlib

with contextlib.suppress(ModuleNotFoundError):  # outside the environment: training.launch says so
    import tinysight as tinysight  # before any module here imports onnxruntime: see its docstring
