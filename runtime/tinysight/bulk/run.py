"""A run over many images, in parts: killed at any time, it goes on with those that are missing.

The answers are a folder of Parquet files, one for each `PART` images in the order of their
references. A part is written under another name and renamed when it is whole, so each image is in
exactly one part that is there, or in none yet.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tinysight.bulk.sources import Reference, escape_surrogates, references
from tinysight.bundle import load_bundle
from tinysight.classifier import Classifier, Confidence
from tinysight.errors import TinysightError
from tinysight.files import move_into_place, sole_writer_inside, write_bytes

PART = 10_000
"""Images of a part."""
_MANIFEST = "_manifest.json"  # with an underscore: readers of Parquet folders skip it
_FORMAT = 1
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Options:
    """How images are answered; the arguments of `Classifier.load` and `classify_many`."""

    bundle: str | None = None
    artifact: str | None = None
    engine: str | None = None
    top_k: int = 1
    min_confidence: Confidence = 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What a finished run holds, earlier ones that it went on with included."""

    images: int
    answered: int
    """With a label."""
    unknown: int
    """Below the confidence that was asked for."""
    errors: int
    """That cannot be read."""
    parts: int
    resumed_parts: int
    """That an earlier run had written."""


def bulk(
    sources: Sequence[str],
    out: Path,
    options: Options,
    jobs: int,
    progress: Callable[[str, int, int], None],
    *,
    part: int = PART,
) -> Summary:
    """Answers every image of the sources, and writes the answers into `out`.

    Args:
        sources: as `references` takes them.
        out: folder of Parquet files with the columns path, label, probability, top and error.
        options: how images are answered.
        jobs: workers, on all machines together; each has a classifier on one thread.
        progress: called after each part.
        part: images of a part; a run is continued with that of its start.

    Raises TinysightError for what the user should change: no image, another run's folder, a bundle
    that does not load.
    """
    label = _check(options)
    progress("listing images", 0, 0)
    found = references(sources)
    if not found:
        raise TinysightError("no image in " + ", ".join(sources))
    manifest = {"format": _FORMAT, **label, "images": len(found), "keys": _digest(found)}
    with sole_writer_inside(out):
        part = _start(out, manifest, part)
        for leftover in out.glob(".part-*"):
            leftover.unlink()
        parts = [found[begin : begin + part] for begin in range(0, len(found), part)]
        missing = [number for number in range(len(parts)) if not _file(out, number).exists()]
        done = sum(len(parts[number]) for number in range(len(parts)) if number not in missing)
        for number, rows in _answered(parts, missing, options, jobs):
            _write(rows, _file(out, number))
            done += len(rows)
            progress("classifying", done, len(found))
    return _summary(out, len(parts), len(parts) - len(missing))


def _check(options: Options) -> dict[str, Any]:
    """What a run is of, for its manifest; raises what a worker would, with its own message."""
    classifier = Classifier.load(
        options.bundle, artifact=options.artifact, engine=options.engine, threads=1
    )
    classifier.classify_many([], top_k=options.top_k, min_confidence=options.min_confidence)
    described = load_bundle(options.bundle).as_text()
    return {
        "bundle": hashlib.sha256(described.encode()).hexdigest(),
        "options": {name: value for name, value in asdict(options).items() if name != "bundle"},
    }


def _digest(found: Sequence[Reference]) -> str:
    digest = hashlib.sha256()
    for one in found:
        digest.update(f"{one.path}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _start(out: Path, manifest: Mapping[str, Any], part: int) -> int:
    """Writes the manifest of a new run, or compares it with an old one; returns a part's images."""
    file = out / _MANIFEST
    if not file.exists():
        if any(path.name != ".lock" for path in out.iterdir()):
            raise TinysightError(f"{out} holds something else: choose another --out")
        write_bytes(file, json.dumps({**manifest, "part": part}, indent=1).encode())
        return part
    try:
        old = json.loads(file.read_bytes()[:_MAX_BYTES])
        size = old.pop("part")
    except (ValueError, KeyError, AttributeError) as error:
        raise TinysightError(f"{file} is damaged: {error}") from None
    for name, what in (
        ("format", "format"),
        ("bundle", "bundle"),
        ("options", "options"),
        ("images", "images"),
        ("keys", "images"),
    ):
        if old.get(name) != manifest[name]:
            raise TinysightError(f"{out} holds answers of other {what}: choose another --out")
    if not isinstance(size, int) or size < 1:
        raise TinysightError(f"{file} is damaged: part is {size!r}")
    return size


def _file(out: Path, number: int) -> Path:
    return out / f"part-{number:05}.parquet"


def _answered(
    parts: Sequence[Sequence[Reference]], missing: Sequence[int], options: Options, jobs: int
) -> Iterator[tuple[int, Any]]:
    """Each missing part with its rows, an Arrow table; in any order, as it is complete."""
    if not missing:
        return
    _quiet()
    import daft
    import pyarrow as pa
    import pyarrow.compute as pc

    from tinysight.bulk.worker import BATCH, BulkClassifier

    names = [field.name for field in fields(Reference)]
    pending = [one for number in missing for one in parts[number]]
    columns: dict[str, Any] = {name: [getattr(one, name) for one in pending] for name in names}
    # On Linux a name is bytes, which need be no UTF-8 as Arrow's strings are: the answers have an
    # escape for those, as `tinysight classify` prints them; the file is opened by the name itself.
    columns["path"] = [escape_surrogates(one.path) for one in pending]
    columns["file"] = [one.file.encode(errors="surrogatepass") for one in pending]
    columns["part"] = [number for number in missing for _ in parts[number]]
    columns["place"] = [place for number in missing for place in range(len(parts[number]))]
    frame = daft.from_arrow(pa.table(columns))
    if _on_ray():  # there a partition is a task, and there is one else
        frame = frame.into_partitions(min(max(len(pending) // BATCH, 1), 4 * jobs))
    workers = daft.cls(BulkClassifier, max_concurrency=jobs)(**asdict(options))
    answered = frame.with_column("answer", workers.answer(*(frame[name] for name in names)))
    # As Arrow from end to end: Python objects of every row would keep a core busy.
    incomplete: dict[int, list[Any]] = {}
    for batch in answered.select("part", "place", "path", "answer").to_arrow_iter():
        for number in pc.unique(batch["part"]).to_pylist():
            pieces = incomplete.setdefault(number, [])
            pieces.append(batch.filter(pc.equal(batch["part"], number)))
            if sum(len(piece) for piece in pieces) == len(parts[number]):
                whole = pa.Table.from_batches(incomplete.pop(number)).sort_by("place")
                yield number, whole.select(["path", "answer"])


def _quiet() -> None:
    """No telemetry of Daft's and Ray's and no progress bars beside ours, unless asked for."""
    for name, value in (
        ("DAFT_ANALYTICS_ENABLED", "0"),
        ("DO_NOT_TRACK", "1"),
        ("RAY_USAGE_STATS_ENABLED", "0"),
        ("DAFT_PROGRESS_BAR", "0"),
    ):
        os.environ.setdefault(name, value)


def _on_ray() -> bool:
    return os.environ.get("DAFT_RUNNER", "").lower() == "ray"


def _write(rows: Any, file: Path) -> None:
    """Writes an Arrow table of path and answer, whose fields become columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ranked = pa.list_(pa.struct([("label", pa.string()), ("probability", pa.float64())]))
    schema = pa.schema(
        [
            ("path", pa.string()),
            ("label", pa.string()),
            ("probability", pa.float64()),
            ("top", ranked),
            ("error", pa.string()),
        ]
    )
    flat = rows.flatten()
    flat = flat.rename_columns([name.removeprefix("answer.") for name in flat.column_names])
    temporary = file.with_name(f".{file.name}")
    try:
        pq.write_table(flat.select(schema.names).cast(schema), temporary)
        move_into_place(temporary, file)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _summary(out: Path, parts: int, resumed: int) -> Summary:
    import pyarrow.parquet as pq

    images = answered = errors = 0
    for number in range(parts):
        table = pq.read_table(_file(out, number), columns=["label", "error"])
        images += len(table)
        answered += len(table) - table["label"].null_count
        errors += len(table) - table["error"].null_count
    return Summary(images, answered, images - answered - errors, errors, parts, resumed)
