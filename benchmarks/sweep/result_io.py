"""Result files: a sweep's, written whole, and what `tinysight bench --json` printed on a device.

The dataclasses are the schema of both: `SweepResult` here, and in `tinysight.benchmark.results`.
"""

import gzip
from pathlib import Path

from benchmarks.sweep.result import SweepResult, of_benchmark
from tinysight.benchmark import results_io
from tinysight.benchmark.results import BenchmarkResult
from tinysight.benchmark.results_io import ResultError, document_text, load_document, parse
from tinysight.files import write_bytes

NAME = "sweep.json.gz"
KIND = "sweep"
FORMAT = 4


def write(result: SweepResult, path: Path) -> None:
    """Replaces the file at `path` in one step."""
    # mtime 0: the same result gives the same file.
    text = document_text(result, KIND, FORMAT)
    write_bytes(path, gzip.compress(text.encode(), 9, mtime=0))


def read(path: Path) -> SweepResult:
    """Reads a file of either kind, or a sweep's from the folder that holds it.

    Raises ResultError, in one line.
    """
    file = path / NAME if path.is_dir() else path
    content = load_document(file)
    kind = content.get("kind")
    if kind == KIND:
        return parse(content, SweepResult, KIND, FORMAT, file)
    if kind == results_io.KIND:
        return of_benchmark(
            parse(content, BenchmarkResult, results_io.KIND, results_io.FORMAT, file)
        )
    raise ResultError(
        f"{file}: a document of the kind {kind!r:.40}, expected is {KIND!r} or {results_io.KIND!r}"
    )
