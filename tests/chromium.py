"""A real Chromium without a window, for the tests that need one."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


@contextlib.contextmanager
def launched(*arguments: str) -> Iterator[Any]:
    """Playwright's Browser; the test is skipped where there is none. `make browser` installs it."""
    api = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium on this machine: `make browser` installs it")
    with api.sync_playwright() as playwright:
        # Without the sandbox: in a container, as root, Chromium has none.
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", *arguments]
        )
        yield browser
        browser.close()
