"""Scripts in processes of their own, for what a process that has run for a while cannot measure."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tinysight.errors import TinysightError

_IMPORT_ROOT = Path(__file__).parents[2]
"""Of this package, which need not be installed."""


def run_isolated(
    script: Path,
    *arguments: str,
    stdin: bytes = b"",
    import_roots: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> tuple[str, float]:
    """Runs a Python script in a process of its own.

    Args:
        script: the file.
        arguments: for its command line.
        stdin: what it reads.
        import_roots: folders that it imports packages from, beside the one of this package.
        environment: variables that are set for it, beside those of this process.

    Returns:
        The first line that it writes to stdout, and the milliseconds from its start until then.

    Raises:
        TinysightError: it fails; with the last line that it wrote to stderr.
    """
    roots = [str(_IMPORT_ROOT), *map(str, import_roots)]
    search = os.pathsep.join([*roots, *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as complaints:
        given.write(stdin)
        given.seek(0)
        began = time.perf_counter()
        with subprocess.Popen(
            # As a script, so that its clock starts before the package's own imports; -P keeps the
            # script's folder, whose files are no top-level modules, off the search path.
            [sys.executable, "-P", str(script), *arguments],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env={**os.environ, "PYTHONPATH": search, **(environment or {})},
        ) as child:
            assert child.stdout is not None
            line = child.stdout.readline()
            came = time.perf_counter()
        if child.returncode != 0 or not line:
            complaints.seek(0)
            lines = complaints.read().decode(errors="replace").strip().splitlines()
            reason = lines[-1] if lines else f"exit code {child.returncode}"
            raise TinysightError(f"a measuring process failed: {reason[-300:]}")
    return line.decode(), 1e3 * (came - began)
