"""The first stage, on a workstation: images to a trained model. `python -m training --help`.

In Python: `load_dataset` reads images, `fit` trains a model on them. Names are imported when they
are first used, so that the command line answers `--help` at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.api import fit
    from training.data import Dataset, load_dataset
    from training.run_folder import Run, load_run

_MODULES = {
    "Dataset": "data",
    "Run": "run_folder",
    "fit": "api",
    "load_dataset": "data",
    "load_run": "run_folder",
}

__all__ = ["Dataset", "Run", "fit", "load_dataset", "load_run"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
