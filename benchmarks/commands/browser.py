"""`python -m benchmarks browser`."""

import argparse
import json
from pathlib import Path
from typing import Any

from tinysight.console import ProgressLine, require_extra, table
from tinysight.records import to_json


def add(commands: Any) -> None:
    command = commands.add_parser(
        "browser",
        help="golden answers and latency of bundles in a headless Chromium",
        description="Writes the page of each bundle (`python -m export web`), opens it in a "
        "headless Chromium, compares the golden answers there and times the model. Exit code 1 "
        "when an answer is beyond its tolerance. `make browser` installs what it needs.",
    )
    command.add_argument(
        "bundles",
        nargs="*",
        metavar="BUNDLE",
        help="bundle folders, or names of bundles shipped with tinysight (default: all of these)",
    )
    command.add_argument(
        "--onnxruntime-web",
        type=Path,
        metavar="PATH",
        help="npm package onnxruntime-web, its tarball or folder (default: the pinned version, "
        "from the cache or downloaded once)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object per line")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("dev", "playwright")
    from benchmarks.studies.browser import launched_chromium, measure_in_browser
    from export.web.onnxruntime_web import read_package
    from tinysight.bundle import load_bundle, shipped_bundles

    bundles = [load_bundle(name) for name in args.bundles or shipped_bundles()]
    progress = ProgressLine()
    runtime = read_package(args.onnxruntime_web, progress)
    results = []
    with launched_chromium() as browser:
        for done, bundle in enumerate(bundles):
            progress("bundles in the browser", done, len(bundles))
            results.append(measure_in_browser(bundle, runtime, browser))
    progress.clear()
    if args.json:
        for result in results:
            print(json.dumps(to_json(result)))
    else:
        header = (
            "bundle/artifact", "golden answers", "largest error", "allowed", "load ms",
            "median ms", "p95 ms", "p99 ms",
        )  # fmt: skip
        print(
            table(
                header,
                [
                    (
                        f"{it.bundle}/{it.artifact}",
                        f"{it.same_top1} of {it.golden_inputs}",
                        f"{it.max_relative_error:.1e}",
                        f"{it.tolerance:g}",
                        f"{it.load_ms:.0f}",
                        *(f"{value:.2f}" for value in (it.median_ms, it.p95_ms, it.p99_ms)),
                    )
                    for it in results
                ],
            )
        )
        first = results[0]
        print(
            f"\n{first.browser}, onnxruntime-web {first.onnxruntime_web}, one thread; "
            f"{first.samples} samples a bundle"
        )
    return 0 if all(result.golden_ok for result in results) else 1
