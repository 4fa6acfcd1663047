"""Where many images are: files, members of tar archives, rows of Parquet files.

The driver only lists references; the workers read the images themselves, so that none passes
through the driver's memory.
"""

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinysight.errors import ImageError, TinysightError
from tinysight.image_files import STDIN, expand_paths
from tinysight.pictures.source import MAX_FILE_BYTES

WHOLE = -1
"""In place of an offset or a row: the image is the whole file."""
IMAGE_COLUMNS = ("image", "bytes", "content")
"""Columns of a Parquet file that are taken for image files' bytes, in this order."""
PATH_COLUMNS = ("path", "url", "file")
"""Columns that are taken for the names of image files, where there is none of the others."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One image."""

    path: str
    """What the answers call it: of a member `archive.tar/name`, of a row `rows.parquet#7`."""
    file: str
    """The file to open, or its URL."""
    offset: int = WHOLE
    """Of a member of a tar archive, bytes; of a row of Parquet, the row group."""
    size: int = 0
    """Bytes of a member."""
    row: int = WHOLE
    """Of Parquet, in its row group."""


def escape_surrogates(text: str) -> str:
    """The text with what stands for bytes that are no UTF-8 written as an escape (`\\udcff`)."""
    return text.encode(errors="backslashreplace").decode()


def references(sources: Sequence[str]) -> list[Reference]:
    """Every image that the sources hold, in a fixed order.

    Args:
        sources: folders, files, patterns, tar archives, Parquet files, or URLs of images, which may
            hold patterns too.

    Raises:
        TinysightError: a source has no image, or cannot be read; or an image is there twice.
    """
    found: list[Reference] = []
    for source in sources:
        if source == STDIN:
            raise TinysightError("bulk reads no standard input: name files, folders or patterns")
        found += _of_url(source) if "://" in source else _local(source)
    seen: set[str] = set()
    for one in found:
        if one.path in seen:
            raise TinysightError(f"{one.path} is there twice: each image is answered once")
        seen.add(one.path)
    return found


def _local(source: str) -> Iterator[Reference]:
    for name in expand_paths([source]):
        if isinstance(name, ImageError):
            raise TinysightError(str(name))
        if name.lower().endswith(".tar"):
            yield from _of_tar(name)
        elif name.lower().endswith((".parquet", ".pq")):
            yield from _of_parquet(name)
        else:
            yield Reference(name, name)


def _of_tar(name: str) -> Iterator[Reference]:
    """The members of an uncompressed archive: only there a worker can go to a member's place."""
    try:
        with tarfile.open(name, "r:") as archive:
            for member in archive:
                if member.isfile() and not Path(member.name).name.startswith("."):
                    yield Reference(f"{name}/{member.name}", name, member.offset_data, member.size)
    except (tarfile.TarError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TinysightError(f"{name} is no uncompressed tar archive: {reason}") from None


def _of_parquet(name: str) -> Iterator[Reference]:
    """The rows of a file with a column of image files' bytes, or of their names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(name) as file:
            columns = file.schema_arrow.names
            if image_column(columns) is not None:
                rows = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
                numbered = ((group, row) for group, n in enumerate(rows) for row in range(n))
                for number, (group, row) in enumerate(numbered):
                    yield Reference(f"{name}#{number}", name, offset=group, row=row)
                return
            path_column = next((one for one in PATH_COLUMNS if one in columns), None)
            if path_column is not None:
                for path in file.read([path_column])[path_column].to_pylist():
                    yield Reference(str(path), str(path))
                return
    except UnicodeEncodeError:
        raise TinysightError(f"{name}: Arrow opens no file whose name is not UTF-8") from None
    except (pa.ArrowException, OSError) as error:
        raise TinysightError(f"{name} is no Parquet file: {error}") from None
    raise TinysightError(
        f"{name} has none of the columns {', '.join((*IMAGE_COLUMNS, *PATH_COLUMNS))}, "
        f"but {', '.join(columns)}"
    )


def image_column(columns: Sequence[str]) -> str | None:
    """The column of a Parquet file that holds image files' bytes; None where there is none."""
    return next((one for one in IMAGE_COLUMNS if one in columns), None)


def _of_url(source: str) -> Iterator[Reference]:
    import daft
    from daft.exceptions import DaftCoreException

    try:
        found = daft.from_glob_path(source).to_pydict()["path"]
    except (DaftCoreException, OSError) as error:
        lines = str(error).strip().splitlines() or ["cannot be listed"]
        raise TinysightError(f"{source}: {lines[0]}") from None
    for url in sorted(found):
        yield Reference(url, url)


class Reader:
    """Reads what references stand for, in a worker; holds one row group of Parquet."""

    def __init__(self) -> None:
        self._group: tuple[str, int] | None = None
        self._rows: Any = None

    def read(self, one: Reference) -> str | bytes | ImageError:
        """A file's name or an image file's bytes, as `Classifier.classify_many` takes them."""
        try:
            if one.row != WHOLE:
                return self._row(one)
            if one.offset != WHOLE:
                if one.size > MAX_FILE_BYTES:
                    return ImageError(f"{one.path}: larger than {MAX_FILE_BYTES >> 20} MB")
                with Path(one.file).open("rb") as stream:
                    stream.seek(one.offset)
                    return stream.read(one.size)
            return _fetch(one.file) if "://" in one.file else one.file
        except Exception as error:  # of any storage: one image must not end the run
            lines = str(error).strip().splitlines() or [type(error).__name__]
            return ImageError(f"{one.path}: {lines[0]}")

    def _row(self, one: Reference) -> bytes | ImageError:
        import pyarrow.parquet as pq

        if self._group != (one.file, one.offset):
            with pq.ParquetFile(one.file) as file:
                column = image_column(file.schema_arrow.names)
                self._rows = file.read_row_group(one.offset, columns=[column])[column]
            self._group = one.file, one.offset
        value = self._rows[one.row].as_py()
        if isinstance(value, dict):  # the images of Hugging Face's datasets
            value = value.get("bytes")
        return value if isinstance(value, bytes) else ImageError(f"{one.path}: no bytes")


def _fetch(url: str) -> bytes:
    import daft

    with daft.File(url).open() as stream:
        return bytes(stream.read(MAX_FILE_BYTES + 1))
