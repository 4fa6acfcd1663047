"""A real Chromium without a window, for the tests that need one."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.studies.browser import launched_chromium
from tinysight.errors import TinysightError


@contextlib.contextmanager
def launched(*arguments: str) -> Iterator[Any]:
    """Playwright's Browser; the test is skipped where there is none."""
    pytest.importorskip("playwright.sync_api")
    started = launched_chromium(*arguments)
    try:
        browser = started.__enter__()
    except TinysightError as error:
        pytest.skip(str(error))
    yield browser
    started.__exit__(None, None, None)
