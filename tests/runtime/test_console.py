"""What every command line shares: descriptor 2 in several threads, and what is not installed."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tinysight import console
from tinysight.console import captured_native_stderr, require_extra
from tinysight.errors import MissingExtraError


class SpiedLock:
    """Counts who wants it."""

    def __init__(self) -> None:
        self.wanted = threading.Semaphore(0)
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self.wanted.release()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_two_threads_do_not_take_stderr_from_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second wants it while the first has it. Both swapped it once, and the process was left
    with a deleted file for its stderr."""
    lock = SpiedLock()
    monkeypatch.setattr(console, "_NATIVE_STDERR", lock)
    before = os.fstat(2)

    def write(text: bytes) -> bytes:
        with captured_native_stderr() as held:
            os.write(2, text)
            held.seek(0)
            return held.read()

    with ThreadPoolExecutor(1) as pool:
        with captured_native_stderr() as held:
            assert lock.wanted.acquire(timeout=60)
            second = pool.submit(write, b"second")
            assert lock.wanted.acquire(timeout=60)
            os.write(2, b"first")
            held.seek(0)
            assert held.read() == b"first"
        assert second.result() == b"second"
    assert os.path.samestat(os.fstat(2), before)


def test_what_is_missing_is_named_with_what_brings_it_to_a_device_and_to_a_checkout() -> None:
    with pytest.raises(MissingExtraError) as error:
        require_extra("sign", "json", "no_such_module")
    assert str(error.value) == (
        "no_such_module not installed: pip install 'tinysight[sign]' brings it, from a checkout "
        "pip install -e '.[sign]'"
    )
