"""Result files: written whole, and checked against their published schema whenever they are read.

Two kinds: a sweep's, and what `tinysight bench --json` printed on a device.
"""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sweep.result import FORMAT, Data, ModelVariant, Result
from tinysight.benchmark import results
from tinysight.benchmark.results import BenchmarkResult, Measurement
from tinysight.benchmark.results_io import parse
from tinysight.errors import TinysightError
from tinysight.files import write_bytes
from tinysight.stats import Accuracy

NAME = "sweep.json.gz"
MAX_BYTES = 64 << 20
"""Of a file once unpacked: a small one may unpack to more than the memory holds."""
SCHEMAS = Path(__file__).parents[1] / "schema"


class ResultError(TinysightError):
    """A result file that is missing, damaged, or of another format."""


def write(result: Result, path: Path) -> None:
    """Replaces the file at `path` in one step."""
    text = json.dumps(as_json(result), separators=(",", ":"))
    # mtime 0: the same result gives the same file.
    write_bytes(path, gzip.compress(text.encode(), 9, mtime=0))


def read(path: Path) -> Result:
    """Reads a file, or a sweep's from the folder that holds it. Raises ResultError in one line."""
    file = path / NAME if path.is_dir() else path
    content = document(file)
    kind = content.get("kind", "sweep")
    if kind not in ("sweep", results.KIND):
        raise ResultError(f"{file}: a result of the kind {kind!r}, neither a sweep's nor a bench's")
    validate(content, file)
    try:
        return _parse(content) if kind == "sweep" else _of_bench(parse(content))
    except (ValueError, OverflowError) as error:
        raise ResultError(f"{file}: {error}") from None


def document(file: Path) -> dict[str, Any]:
    """The JSON object in a file, which may be compressed. Raises ResultError."""
    try:
        raw = file.read_bytes()
        if raw.startswith(b"\x1f\x8b"):
            with gzip.open(file) as stream:
                raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ResultError(f"{file}: more than {MAX_BYTES:,} bytes")
        content = json.loads(raw)
    except FileNotFoundError:
        raise ResultError(f"{file}: no such result") from None
    except (OSError, EOFError, ValueError, RecursionError) as error:
        raise ResultError(f"{file}: damaged, or no result at all ({error})") from None
    if not isinstance(content, dict):
        raise ResultError(f"{file}: no result: it is not a JSON object")
    return content


def validate(content: dict[str, Any], file: Path) -> None:
    """Raises ResultError, with the place of the first fault, unless the schema is kept."""
    import jsonschema

    kind, version = content.get("kind"), content.get("format")
    schema = SCHEMAS / f"{kind}-{version}.json"
    if not (isinstance(kind, str) and kind.isalpha() and isinstance(version, int)):
        raise ResultError(f"{file}: no result: it names no kind and format")
    if not schema.is_file():
        raise ResultError(f"{file}: format {version} of {kind!r} is not read here; measure again")
    fault = jsonschema.exceptions.best_match(_validator(schema).iter_errors(content))
    if fault is not None:
        raise ResultError(f"{file}: {fault.json_path}: {fault.message[:120]}")


@cache
def _validator(schema: Path) -> Any:
    import jsonschema

    return jsonschema.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))


def as_json(result: Result) -> dict[str, Any]:
    """The file's content. What follows from the samples is written too, for other readers."""
    data = result.data
    return {
        "kind": "sweep",
        "format": FORMAT,
        "measured": result.measured,
        "command": result.command,
        "device": dict(result.device),
        "versions": dict(result.versions),
        "settings": dict(result.settings),
        "data": data
        and {
            "title": data.title,
            "fingerprint": data.fingerprint,
            "split": "test",
            "labels": list(data.labels),
            "targets": data.targets.tolist(),
        },
        "entries": [
            {
                "model": variant.model,
                "recipe": variant.recipe,
                "engine": variant.engine,
                "bytes": variant.bytes,
                "sha256": variant.sha256,
                "accuracy": variant.accuracy and variant.accuracy.as_json(),
                "answers": None if variant.answers is None else variant.answers.tolist(),
            }
            for variant in result.variants
        ],
        "cells": [measurement.as_json() for measurement in result.measurements],
        "layers": dict(result.layers),
    }


def _parse(content: dict[str, Any]) -> Result:
    """Of a document that keeps the schema. Raises ValueError where parts do not fit together."""
    data = content["data"]
    return Result(
        measured=content["measured"],
        command=content["command"],
        device=content["device"],
        versions=content["versions"],
        settings=content["settings"],
        data=data
        and Data(
            data["title"],
            data["fingerprint"],
            tuple(data["labels"]),
            _classes(data["targets"], len(data["labels"])),
        ),
        variants=tuple(_entry(variant, data) for variant in content["entries"]),
        measurements=tuple(
            Measurement(
                measurement["entry"],
                measurement["threads"],
                measurement["batch"],
                tuple(np.array(samples, dtype=np.int64) for samples in measurement["passes_ns"]),
                tuple(measurement.get("yardsticks_ns", ())),
            )
            for measurement in content["cells"]
        ),
        layers=content["layers"],
    )


def _of_bench(bench: BenchmarkResult) -> Result:
    """A device's own result, as far as it is of a sweep's shape; the rest stays in `bench`."""
    return Result(
        measured=bench.measured,
        command=bench.command,
        device=bench.device,
        versions=bench.versions,
        settings=bench.settings,
        data=None,
        variants=tuple(
            ModelVariant(
                variant.model,
                variant.recipe,
                variant.engine,
                variant.bytes,
                variant.sha256,
                variant.accuracy,
                None,
            )
            for variant in bench.variants
        ),
        measurements=bench.measurements,
        bench=bench,
    )


def _entry(variant: dict[str, Any], data: dict[str, Any] | None) -> ModelVariant:
    accuracy, answers = variant["accuracy"], variant["answers"]
    if answers is not None and data is None:
        raise ValueError(f"{variant['model']} has answers, but to no images")
    return ModelVariant(
        variant["model"],
        variant["recipe"],
        variant["engine"],
        variant["bytes"],
        variant["sha256"],
        accuracy and Accuracy(accuracy["correct"], accuracy["n"]),
        None if answers is None or data is None else _classes(answers, len(data["labels"])),
    )


def _classes(values: list[int], count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    indices = np.array(values, dtype=np.int64)
    if indices.size and indices.max() >= count:
        raise ValueError(f"a class index above {count - 1}")
    return indices
