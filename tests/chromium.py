"""A real Chromium without a window, for the tests that need one."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.studies.browser import find_chromium, launched_chromium


def skip_without_chromium() -> None:
    pytest.importorskip("playwright.sync_api")
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine: `make browser` installs it")


@contextlib.contextmanager
def launched(*arguments: str) -> Iterator[Any]:
    """Playwright's Browser; the test is skipped where there is none."""
    skip_without_chromium()
    with launched_chromium(*arguments) as browser:
        yield browser
