"""From a trained run to a bundle that a device can trust. `python -m export --help`.

In Python: `build` makes a bundle of a run. It is imported when it is first used.
"""

import contextlib
import importlib
from typing import TYPE_CHECKING, Any

with contextlib.suppress(ModuleNotFoundError):  # outside the environment: training.launch says so
    import tinysight as tinysight  # before any module here imports onnxruntime: see its docstring

if TYPE_CHECKING:
    from export.api import build

__all__ = ["build"]


def __getattr__(name: str) -> Any:
    if name != "build":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("export.api").build
