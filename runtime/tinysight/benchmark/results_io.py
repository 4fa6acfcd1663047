"""Result documents: read, whatever they hold, as typed results or one line of error.

A document is a JSON object, possibly compressed by gzip: `kind`, `format`, and the fields of its
result's class. The dataclasses of `tinysight.benchmark.results` are its schema.
"""

import gzip
import json
import zlib
from pathlib import Path
from typing import TypeVar

from tinysight.benchmark.results import BenchmarkResult, LatencyResult
from tinysight.errors import TinysightError
from tinysight.records import JsonObject, RecordError, from_json, parse_json, to_json

KIND = "bench"
FORMAT = 2
MAX_BYTES = 64 << 20
"""Of a document once unpacked: a small file may unpack to more than the memory holds."""

Result = TypeVar("Result", bound=LatencyResult)


class ResultError(TinysightError):
    """A result document that is missing, damaged, or of another kind or format."""


def as_text(result: BenchmarkResult) -> str:
    """The document of a benchmark's result, on one line."""
    return document_text(result, KIND, FORMAT)


def read(file: Path) -> BenchmarkResult:
    """Reads what `tinysight bench --json` printed. Raises ResultError, in one line."""
    return parse(load_document(file), BenchmarkResult, KIND, FORMAT, file)


def document_text(result: LatencyResult, kind: str, format_: int) -> str:
    """The document of any result, on one line."""
    content = {"kind": kind, "format": format_, **to_json(result)}
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def load_document(file: Path) -> JsonObject:
    """The JSON object in a file, which may be compressed. Raises ResultError."""
    try:
        with file.open("rb") as stream:
            compressed = stream.read(2) == b"\x1f\x8b"
        with gzip.open(file) if compressed else file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ResultError(f"{file}: more than {MAX_BYTES:,} bytes")
        content = parse_json(raw)
    except FileNotFoundError:
        raise ResultError(f"{file}: no such result") from None
    except (OSError, EOFError, zlib.error, RecordError) as error:
        raise ResultError(f"{file}: damaged, or no result at all ({error!s:.120})") from None
    if not isinstance(content, dict):
        raise ResultError(f"{file}: no result: it is not a JSON object")
    return content


def parse(content: JsonObject, class_: type[Result], kind: str, format_: int, file: Path) -> Result:
    """The result in a document of that kind and format. Raises ResultError, in one line.

    Args:
        content: what `load_document` gave.
        class_: of the result.
        kind: what the document must say that it is.
        format_: likewise.
        file: where it is from, for the message of an error.
    """
    actual = content.get("kind")
    if actual != kind:
        raise ResultError(f"{file}: a document of the kind {actual!r:.40}, expected is {kind!r}")
    if content.get("format") != format_:
        raise ResultError(
            f"{file}: format {content.get('format')!r:.40} of {kind!r}, read here is {format_}: "
            "measure again"
        )
    fields = {name: value for name, value in content.items() if name not in ("kind", "format")}
    try:
        return from_json(class_, fields)
    except RecordError as error:
        raise ResultError(f"{file}: {error!s:.200}") from None
