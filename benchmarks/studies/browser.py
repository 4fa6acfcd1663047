"""A bundle's page in a headless Chromium: its golden answers, and its latency there."""

import contextlib
import functools
import http.server
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from export.web.onnxruntime_web import OnnxRuntimeWeb
from export.web.site import write_site
from tinysight.bundle import Bundle
from tinysight.errors import TinysightError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The names that it has, the first that is found is taken."""

# The page's own modules, as app.js calls them.
_MEASURE = """async () => {
  const { fetchJson, loadClassifier, measureLatency } = await import("./engine.js");
  const { compareGolden, goldenInputs } = await import("./golden.js");
  const site = await fetchJson("site.json");
  const begun = performance.now();
  const classifier = await loadClassifier(site, () => {});
  const loadMs = performance.now() - begun;
  const { golden } = classifier.artifact;
  const logits = [];
  for (const input of goldenInputs(classifier.bundle, golden?.logits.length ?? 0)) {
    logits.push(await classifier.logits(input));
  }
  const comparison = golden ? compareGolden(logits, golden) : null;
  const latency = await measureLatency(classifier, () => {});
  return { loadMs, comparison, latency };
}"""


@dataclass(frozen=True, slots=True)
class BrowserResult:
    """What a bundle's default artifact does in a browser."""

    bundle: str
    artifact: str
    browser: str
    onnxruntime_web: str
    golden_inputs: int
    """0 where the bundle keeps no golden answers; the three after it then mean nothing."""
    same_top1: int
    max_relative_error: float
    """The largest difference of a logit, relative to the recorded ones' spread."""
    tolerance: float
    """What is allowed of it."""
    load_ms: float
    """From the first request to the server on this machine until the model can answer."""
    median_ms: float
    p95_ms: float
    p99_ms: float
    samples: int
    calls_per_sample: int
    """A sample is the mean of so many calls, since a browser's clock is coarse."""

    DERIVED: ClassVar = ("golden_ok",)

    @property
    def golden_ok(self) -> bool:
        return self.golden_inputs == 0 or self.max_relative_error <= self.tolerance


class StaticServer(http.server.ThreadingHTTPServer):
    """`python -m http.server` in a thread of this process."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


def find_chromium() -> str | None:
    """The path of its program."""
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


@contextlib.contextmanager
def launched_chromium(*arguments: str) -> "Iterator[Browser]":
    """A Chromium without a window, by playwright. Raises TinysightError where there is none."""
    from playwright.sync_api import sync_playwright

    path = find_chromium()
    if path is None:
        raise TinysightError("no Chromium on this machine: `make browser` installs it")
    with sync_playwright() as playwright:
        # Without the sandbox: in a container, as root, Chromium has none.
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", *arguments]
        )
        yield browser
        browser.close()


def measure_in_browser(
    bundle: Bundle, runtime: OnnxRuntimeWeb, browser: "Browser"
) -> BrowserResult:
    """Writes the bundle's page into a temporary folder, opens it, and asks it.

    Raises TinysightError when the page cannot load the model.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_site(bundle, runtime, Path(folder) / "site", overwrite=False)
        server = StaticServer(Path(folder) / "site")
        try:
            context = browser.new_context(bypass_csp=True)
            page = context.new_page()
            page.goto(f"{server.url}site.json")  # in the page's place, without its own measuring
            answer: dict[str, Any] = page.evaluate(_MEASURE)
            context.close()
        finally:
            server.stop()
    golden, latency = answer["comparison"] or {}, answer["latency"]
    samples: list[float] = latency["samples"]
    return BrowserResult(
        bundle=bundle.name,
        artifact=bundle.default,
        browser=f"Chromium {browser.version}",
        onnxruntime_web=runtime.version,
        golden_inputs=golden.get("inputs", 0),
        same_top1=golden.get("sameTop1", 0),
        max_relative_error=golden.get("maxRelativeError", 0.0),
        tolerance=golden.get("tolerance", 0.0),
        load_ms=answer["loadMs"],
        median_ms=samples[len(samples) // 2],
        p95_ms=samples[int(0.95 * len(samples))],
        p99_ms=samples[int(0.99 * len(samples))],
        samples=len(samples),
        calls_per_sample=latency["callsPerSample"],
    )
