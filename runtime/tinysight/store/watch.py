"""Following a store: what was loaded from the version that is current, whichever that is."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from tinysight.errors import TinysightError
from tinysight.store.layout import CURRENT, read_current

T = TypeVar("T")

CHECK_INTERVAL_S = 0.25
"""Between two looks at the store: each is one `stat`, about 2 us."""


class StoreWatcher(Generic[T]):
    """Calling it gives what belongs to the current version; any thread may.

    Nobody waits for a new version: a thread of its own loads it, and until that is done all get
    the old one. A version that does not load is passed over, and logged; the old one stays.
    """

    def __init__(self, store: Path, load: Callable[[Path], T], interval_s: float) -> None:
        """Loads the current version.

        Args:
            store: its folder.
            load: makes something of the store's current version.
            interval_s: seconds between two looks at the store, at least.

        Raises UpdateError where it is no store, and what `load` raises.
        """
        self._file = store / CURRENT
        self._store = store
        self._load = load
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._loader: threading.Thread | None = None
        self._seen = _stamp(self._file)  # before it is read: a change in between is then noticed
        self._version = read_current(store).version
        self._value = load(store)
        self._next_s = time.monotonic() + interval_s

    def __call__(self) -> T:
        """What was loaded of the newest version that loads."""
        if time.monotonic() >= self._next_s:
            self._check()
        return self._value

    def _check(self) -> None:
        """Starts loading where current.json is another file than before."""
        if not self._lock.acquire(blocking=False):
            return  # another thread is just looking
        try:
            # After a fork the child has no such thread, and `is_alive` says so there.
            if self._loader is not None and self._loader.is_alive():
                return
            self._next_s = time.monotonic() + self._interval_s
            seen = _stamp(self._file)
            if seen is None or seen == self._seen:
                return
            self._loader = threading.Thread(
                target=self._reload, args=(seen,), name="tinysight update", daemon=True
            )
            self._loader.start()
        finally:
            self._lock.release()

    def _reload(self, seen: tuple[int, int, int]) -> None:
        try:
            version = read_current(self._store).version
            if version != self._version:
                self._value = self._load(self._store)
                self._version = version
        except (TinysightError, OSError) as error:
            _warn("the new version of %s is not used: %s", self._store, error)
        self._seen = seen  # last: what changed meanwhile is another file, and looked at again


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """What tells one current.json from the next; None where there is none."""
    try:
        status = os.stat(file)  # noqa: PTH116  # quicker than Path.stat
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _warn(message: str, *values: object) -> None:
    import logging  # late: its import takes longer than an answer

    logging.getLogger("tinysight").warning(message, *values)
