"""From a trained run to a bundle that a device can trust. `python -m export --help`."""

import tinysight as tinysight  # before any module here imports onnxruntime: see its docstring
