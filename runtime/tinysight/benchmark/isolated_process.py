"""Processes that start afresh: for what one that has run for a while cannot measure."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tinysight.errors import TinysightError


def run_isolated(script: str, *arguments: str, **environment: str) -> tuple[str, float]:
    """Runs a script of this package in a process of its own.

    Args:
        script: its file's name, beside this one.
        arguments: for its command line.
        environment: variables that it gets beside ours.

    Returns its first line on stdout, and the milliseconds from its start until that came.
    Raises TinysightError, with the last line that it wrote to stderr, when it fails.
    """
    here = Path(__file__)
    package = str(here.parents[2])  # also where tinysight is not installed
    search = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints:
        began = time.perf_counter()
        with subprocess.Popen(
            # As a script, so that its clock starts before the package's own imports; -P keeps the
            # script's folder off the search path, where our statistics.py would hide Python's.
            [sys.executable, "-P", str(here.with_name(script)), *arguments],
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env={**os.environ, "PYTHONPATH": search, **environment},
        ) as child:
            assert child.stdout is not None
            line = child.stdout.readline()
            came = time.perf_counter()
        if child.returncode != 0 or not line:
            complaints.seek(0)
            said = complaints.read().strip().splitlines() or [f"exit code {child.returncode}"]
            raise TinysightError(f"a fresh process failed: {said[-1][-300:]}")
    return line, 1e3 * (came - began)
