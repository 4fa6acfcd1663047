"""The parts of a sweep that is not finished: what was measured stays measured after a kill."""

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.files import write_bytes

FOLDER = ".unfinished"


class SweepCheckpoint:
    """Arrays by name, each in a file that is there whole or not at all.

    They lie in `out/.unfinished/<identity>/`: a sweep of other models, settings or versions has
    another identity, and so never goes on with what is not its own.
    """

    def __init__(self, out: Path, identity: dict[str, Any]) -> None:
        text = json.dumps(identity, sort_keys=True)
        self._folder = out / FOLDER / hashlib.sha256(text.encode()).hexdigest()[:16]
        self._folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        return self._folder / f"{name}.npz"

    def have(self, name: str) -> bool:
        return self.path(name).exists()

    def get(self, name: str) -> dict[str, NDArray[np.int64]]:
        with np.load(self.path(name)) as arrays:
            return {key: arrays[key] for key in arrays.files}

    def array(self, name: str, make: Callable[[], NDArray[np.int64]]) -> NDArray[np.int64]:
        """The array of that name; made, and kept, when it is not there yet."""
        if not self.have(name):
            stream = io.BytesIO()
            np.savez(stream, values=make())
            write_bytes(self.path(name), stream.getvalue())
        return self.get(name)["values"]


def discard(out: Path) -> None:
    """Removes the parts of every sweep into this folder: its result is written."""
    shutil.rmtree(out / FOLDER, ignore_errors=True)
