"""What an unfinished sweep has measured: it stays measured when the sweep is killed."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tinysight.benchmark.results_io import MAX_BYTES
from tinysight.errors import TinysightError
from tinysight.files import write_bytes
from tinysight.records import JsonObject, RecordError, from_json, load_json, to_json

FOLDER = ".unfinished"

T = TypeVar("T")


class SweepCheckpoint:
    """Records by name, each in a JSON file that is there whole or not at all.

    They lie in `out/.unfinished/<digest of the identity>/`: a sweep of other models, settings or
    versions has another identity, and so never resumes from records that are not its own.
    """

    def __init__(self, out: Path, identity: JsonObject) -> None:
        text = json.dumps(identity, sort_keys=True)
        self._folder = out / FOLDER / hashlib.sha256(text.encode()).hexdigest()[:16]
        self._folder.mkdir(parents=True, exist_ok=True)

    def has(self, name: str) -> bool:
        return self._file(name).exists()

    def load_or_make(self, name: str, kind: type[T], make: Callable[[], T]) -> T:
        """The record of that name; made and saved when it is not there yet.

        Args:
            name: of the record, unique in the sweep.
            kind: its dataclass.
            make: makes it.

        Raises:
            TinysightError: it is there but damaged.
        """
        file = self._file(name)
        try:
            return from_json(kind, load_json(file, MAX_BYTES))
        except FileNotFoundError:
            record = make()
        except RecordError as error:
            raise TinysightError(f"{file}: damaged ({error}); delete it") from None
        write_bytes(file, json.dumps(to_json(record)).encode())
        return record

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def discard(out: Path) -> None:
    """Removes the records of every unfinished sweep into this folder: its result is written."""
    shutil.rmtree(out / FOLDER, ignore_errors=True)
