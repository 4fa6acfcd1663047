"""Bundles of unknown origin: verified in a process of its own, which may crash or be stopped.

Engines are large programs in C++, and what `tinysight.model_files` lets through may still find a
fault in one. Then a process ends that holds nothing, and the caller reads one line.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tinysight.bundle import load_bundle
from tinysight.errors import BundleError, TinysightError
from tinysight.integrity.verification import Verification, verify
from tinysight.records import RecordError, from_json, parse_json, to_json
from tinysight.signing.keys import KeyPaths

_IMPORT_ROOT = Path(__file__).parents[2]
"""Of this package, which need not be installed."""
_MAX_OUTPUT_BYTES = 4 << 20
_MB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What the process may take. Where a system knows no such limits (Windows), the seconds alone
    bound it; macOS does not keep the one on memory."""

    memory_mb: int = 4096
    """Address space, most of which is never used: onnxruntime, LiteRT and numpy reserve 1.5 GB."""
    cpu_seconds: int = 120
    seconds: int = 180
    """By the clock."""
    file_mb: int = 16
    """Of one file that it writes."""

    def __post_init__(self) -> None:
        if min(self.memory_mb, self.cpu_seconds, self.seconds, self.file_mb) < 1:
            raise ValueError("a limit must be at least 1")


DEFAULT_LIMITS = Limits()


def verify_isolated(
    folder: str | os.PathLike[str],
    limits: Limits = DEFAULT_LIMITS,
    *,
    require_signature: KeyPaths | Literal[False] | None = None,
) -> Verification:
    """`verify` of the bundle in a folder, in a process of its own: no engine is loaded in this one.

    Args:
        folder: the bundle's, or the name of a shipped one.
        limits: what the process may take.
        require_signature: as `load_bundle` takes it.

    Raises:
        BundleError: the bundle cannot be read, or is not signed as required; or the process
            crashed, took too much, or said something else than a verdict: the bundle must not be
            used then.
    """
    words = [sys.executable, "-P", "-m", "tinysight.integrity.isolated", str(folder)]
    words += [str(getattr(limits, name)) for name in ("memory_mb", "cpu_seconds", "file_mb")]
    words.append(_keys_as_text(require_signature))
    search = os.pathsep.join([str(_IMPORT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as complaints:
        try:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=complaints,
                env={**os.environ, "PYTHONPATH": search},
                timeout=limits.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BundleError(
                f"{folder}: not verified within {limits.seconds} s: do not use it"
            ) from None
        out.seek(0)
        complaints.seek(0)
        said = out.read(_MAX_OUTPUT_BYTES)
        complained = complaints.read(_MAX_OUTPUT_BYTES).decode(errors="replace")
    if done.returncode == 0:
        try:
            return from_json(Verification, parse_json(said))
        except RecordError:
            raise BundleError(f"{folder}: no verdict came of it: do not use it") from None
    if done.returncode == _REFUSED:
        lines = complained.splitlines() or ["it was refused"]
        raise BundleError("".join(c for c in lines[-1][:500] if c.isprintable()))
    raise BundleError(f"{folder}: {_describe_end(done.returncode, limits)}: do not use it")


def _keys_as_text(keys: KeyPaths | Literal[False] | None) -> str:
    """`require_signature` as JSON, for the process's command line."""
    if keys is None or keys is False:
        return json.dumps(keys)
    paths = [keys] if isinstance(keys, (str, os.PathLike)) else keys
    return json.dumps([os.fspath(path) for path in paths])


def _describe_end(code: int, limits: Limits) -> str:
    if os.name != "nt" and code == -signal.SIGXCPU:
        return f"verifying it took more than {limits.cpu_seconds} s of CPU time"
    if code == _OUT_OF_MEMORY:
        return f"verifying it took more than {limits.memory_mb:,} MB of memory"
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        return f"the process that verified it crashed ({name})"
    return f"the process that verified it failed (exit code {code})"


_REFUSED, _OUT_OF_MEMORY = 3, 4
"""Exit codes of the process; Python's own are 1 and 2."""


def _limit(memory_mb: int, cpu_seconds: int, file_mb: int) -> None:
    """Limits this process, as far as the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, memory_mb * _MB),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, file_mb * _MB),
    ):
        hard = resource.getrlimit(kind)[1]
        bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (bounded, bounded))
        except (ValueError, OSError):  # macOS, for RLIMIT_AS
            continue


def main() -> int:
    """In the process: the folder, its limits and keys are on the command line, the verdict on
    stdout."""
    folder, *limits, keys = sys.argv[1:]
    _limit(*map(int, limits))
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)  # engines may print to stdout, which is kept for the verdict
        try:
            verdict = verify(load_bundle(folder, require_signature=json.loads(keys)))
        except TinysightError as error:
            print(error, file=sys.stderr)
            return _REFUSED
        except MemoryError:
            return _OUT_OF_MEMORY
        out.write(json.dumps(to_json(verdict)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
