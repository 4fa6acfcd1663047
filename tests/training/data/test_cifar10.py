"""The official CIFAR-10 layouts, written here; and what a hostile or damaged one is told."""

import builtins
import io
import os
import pickle
import shutil
import tarfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from training.data import DataError, cifar10, load_dataset
from training.data.cifar10 import MAX_BATCH_BYTES, parse_binary, parse_python
from training.data.download import hash_of

Batches = tuple[np.ndarray, np.ndarray]
OFFICIAL = Path(__file__).parents[4] / "shared" / "data" / "cifar-10-batches-py.tar.xz"
VERSIONS = ("binary", "python")
NAMES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]


def planes(images: np.ndarray) -> np.ndarray:
    """(n, 32, 32, 3) as the archive keeps it: (n, 3072), red then green then blue."""
    return images.transpose(0, 3, 1, 2).reshape(len(images), 3072)


def binary(images: np.ndarray, labels: np.ndarray) -> bytes:
    return np.hstack([labels.astype(np.uint8)[:, None], planes(images)]).tobytes()


def python2(batch: dict[bytes, Any]) -> bytes:
    """Pickled as Python 2 did in 2009: protocol 2, and numpy's module under its old name."""
    content = pickle.dumps(batch, protocol=2)
    return content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def batch_of(images: np.ndarray, labels: np.ndarray) -> dict[bytes, Any]:
    return {
        b"batch_label": b"training batch",
        b"labels": labels.tolist(),
        b"data": planes(images),
        b"filenames": [b"a.png"] * len(labels),
    }


def layout(cifar: Batches, version: str) -> dict[str, bytes]:
    """The files of an official archive by their path in it."""
    if version == "binary":
        files = {f"{n}.bin": binary(x, y) for n, x, y in zip(NAMES, *cifar, strict=True)}
        files |= {"batches.meta.txt": b"airplane\n", "readme.html": b"<html>"}
        return {f"cifar-10-batches-bin/{name}": content for name, content in files.items()}
    files = {n: python2(batch_of(x, y)) for n, x, y in zip(NAMES, *cifar, strict=True)}
    files |= {"batches.meta": python2({b"num_cases_per_batch": 20}), "readme.html": b"<html>"}
    return {f"cifar-10-batches-py/{name}": content for name, content in files.items()}


def write_archive(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    """A tar archive; `mode` is tarfile's."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def write_folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["archive", "folder of the archive", "batches", "their parent"])
def test_every_official_layout_gives_the_images_in_order(
    version: str, kind: str, cifar: Batches, tmp_path: Path, cache: Path
) -> None:
    files = layout(cifar, version)
    if kind in ("archive", "folder of the archive"):
        path = write_archive(tmp_path / f"cifar-10-{version}.tar.gz", files)
        source = path if kind == "archive" else tmp_path
    else:
        root = write_folder(tmp_path / "unpacked", files)
        source = root if kind == "their parent" else root / next(iter(files)).split("/")[0]
    data = load_dataset(source, cache=cache)
    assert (data.name, data.title) == ("cifar10_selection", "CIFAR-10, a selection")
    assert data.labels == cifar10.LABELS
    assert {part: len(indices) for part, indices in data.parts.items()} == {
        "train": 100,
        "test": 20,
    }
    images, labels = cifar
    np.testing.assert_array_equal(data.images, images.reshape(-1, 32, 32, 3))
    np.testing.assert_array_equal(data.targets, labels.ravel())
    assert data.parts["test"].tolist() == list(range(100, 120))


@pytest.mark.skipif(not OFFICIAL.is_file(), reason=f"needs {OFFICIAL.name} in ../shared/data")
def test_the_official_archive_is_cifar_10(cache: Path) -> None:
    """Real pickles of 2009, read from an archive of a name and a compression of our own."""
    told: list[tuple[str, int, int]] = []
    data = load_dataset(OFFICIAL, cache=cache, progress=lambda *args: told.append(args))
    assert (data.name, data.title) == ("cifar10", "CIFAR-10")
    assert (data.labels, data.images.shape) == (cifar10.LABELS, (60_000, 32, 32, 3))
    assert {part: (len(i), i[0], i[-1]) for part, i in data.parts.items()} == {
        "train": (50_000, 0, 49_999),
        "test": (10_000, 50_000, 59_999),
    }
    assert np.bincount(data.targets[:50_000]).tolist() == [5000] * 10
    assert np.bincount(data.targets[50_000:]).tolist() == [1000] * 10
    assert data.targets[:5].tolist() == [6, 9, 9, 4, 1]
    assert data.targets[50_000:50_005].tolist() == [3, 8, 8, 0, 6]
    assert data.targets[-3:].tolist() == [5, 1, 7]
    pixels = {(0, 0, 0): [59, 62, 63], (49_999, 31, 31): [163, 163, 161],
              (50_000, 0, 0): [158, 112, 49], (59_999, 16, 7): [125, 99, 81]}  # fmt: skip
    assert {at: data.images[at].tolist() for at in pixels} == pixels
    assert told == [("reading batches", n, 6) for n in range(1, 7)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("compression", ["", "gz", "xz", "bz2", "zst"])
@pytest.mark.parametrize("depth", ["{}", "./{}", "some name/{}"])
def test_any_archive_is_read_whatever_its_name(
    version: str, compression: str, depth: str, cifar: Batches, tmp_path: Path, cache: Path
) -> None:
    if compression == "zst":
        pytest.importorskip("compression.zstd", reason="needs Python 3.14")
    files = {depth.format(n.split("/")[1]): c for n, c in layout(cifar, version).items()}
    backwards = dict(reversed(files.items()))
    path = write_archive(tmp_path / "photos of mine", backwards, f"w:{compression}")
    data = load_dataset(path, cache=cache)
    assert (data.name, data.title) == ("cifar10_selection", "CIFAR-10, a selection")
    np.testing.assert_array_equal(data.images, cifar[0].reshape(-1, 32, 32, 3))
    np.testing.assert_array_equal(data.targets, cifar[1].ravel())


def test_zstandard_that_this_python_cannot_read_is_one_line(
    tmp_path: Path, cache: Path, refused: Callable[..., str]
) -> None:
    path = tmp_path / "cifar.tar.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(60))
    refused(lambda: load_dataset(path, cache=cache), str(path))


@pytest.mark.parametrize("outer", ["", "wrapped/"])
def test_class_folders_are_told_from_batches_without_reading_on(
    outer: str, files: dict[str, bytes], archive: Callable[..., Path]
) -> None:
    """All that follows the first picture is cut off, which only reading it would notice."""
    path = archive({outer + name: content for name, content in files.items()}, "cifar-10.tar")
    path.write_bytes(path.read_bytes()[:1000])
    assert cifar10.find(path) is None


def test_batches_are_found_without_reading_them(cifar: Batches, tmp_path: Path) -> None:
    path = write_archive(tmp_path / "x", layout(cifar, "python"), "w")
    path.write_bytes(path.read_bytes()[:1000])
    assert cifar10.find(path) == path


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_batches_deeper_down_or_of_other_names_are_none(
    kind: str, cifar: Batches, tmp_path: Path, cache: Path, refused: Callable[..., str]
) -> None:
    files = {f"deep/{name}": content for name, content in layout(cifar, "binary").items()}
    files |= {"data_batch_6": b"", "data_batch_1.txt": b"", "my_test_batch": b""}
    source = tmp_path / "cifar-10-binary.tar"
    source = write_archive(source, files) if kind == "archive" else write_folder(source, files)
    refused(lambda: load_dataset(source, cache=cache), "no class folders")


def test_only_the_official_content_is_called_cifar_10() -> None:
    assert cifar10.name_and_title(cifar10.OFFICIAL_FINGERPRINT) == ("cifar10", "CIFAR-10")
    assert cifar10.name_and_title("0" * 64) == ("cifar10_selection", "CIFAR-10, a selection")


def test_both_versions_have_one_fingerprint(cifar: Batches, tmp_path: Path, cache: Path) -> None:
    paths = [write_archive(tmp_path / version, layout(cifar, version)) for version in VERSIONS]
    assert len({load_dataset(path, cache=cache).fingerprint for path in paths}) == 1


def test_only_its_own_size_is_given(
    cifar: Batches, tmp_path: Path, cache: Path, refused: Callable[..., str]
) -> None:
    path = write_archive(tmp_path / "cifar-10-binary.tar.gz", layout(cifar, "binary"))
    refused(lambda: load_dataset(path, size=(16, 16), cache=cache), "32 x 32")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("missing", ["data_batch_3", "test_batch", "data_batch_1"])
def test_a_missing_batch_is_named(
    version: str,
    missing: str,
    cifar: Batches,
    tmp_path: Path,
    cache: Path,
    refused: Callable[..., str],
) -> None:
    files = layout(cifar, version)
    files = {name: content for name, content in files.items() if missing not in name}
    path = write_archive(tmp_path / f"cifar-10-{version}.tar.gz", files)
    refused(lambda: load_dataset(path, cache=cache), str(path), missing)


def test_a_truncated_archive_is_one_line(
    cifar: Batches, tmp_path: Path, cache: Path, refused: Callable[..., str]
) -> None:
    path = write_archive(tmp_path / "cifar-10-binary.tar.gz", layout(cifar, "binary"))
    content = path.read_bytes()
    for length in (0, 3, 100, len(content) // 2):
        path.write_bytes(content[:length])
        refused(lambda: load_dataset(path, cache=cache), str(path))


def test_a_batch_that_is_there_twice_is_refused(
    cifar: Batches, tmp_path: Path, cache: Path, refused: Callable[..., str]
) -> None:
    files = layout(cifar, "binary")
    other = {"elsewhere/test_batch.bin": files["cifar-10-batches-bin/data_batch_1.bin"]}
    path = write_archive(tmp_path / "cifar-10-binary.tar.gz", {**files, **other})
    refused(lambda: load_dataset(path, cache=cache), str(path), "test_batch is in it twice")


def test_a_member_beyond_any_batch_is_refused_unread(
    tmp_path: Path, cache: Path, refused: Callable[..., str]
) -> None:
    member = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
    member.size = MAX_BATCH_BYTES + 1
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(member.tobuf() + bytes(1024))
    refused(lambda: load_dataset(path, cache=cache), f"has {MAX_BATCH_BYTES + 1:,} bytes")


def test_a_file_beyond_any_batch_is_refused_unread(
    tmp_path: Path, cache: Path, refused: Callable[..., str]
) -> None:
    with (tmp_path / "data_batch_1").open("wb") as file:
        file.truncate(MAX_BATCH_BYTES + 1)
    refused(lambda: load_dataset(tmp_path, cache=cache), f"has {MAX_BATCH_BYTES + 1:,} bytes")


def test_both_formats_in_one_folder_are_refused(
    cifar: Batches, tmp_path: Path, cache: Path, refused: Callable[..., str]
) -> None:
    for version in VERSIONS:
        for name, content in layout(cifar, version).items():
            write_folder(tmp_path / "both", {name.split("/")[1]: content})
    refused(lambda: load_dataset(tmp_path / "both", cache=cache), "data_batch_1 is in it twice")


def test_hostile_members_write_nothing(cifar: Batches, tmp_path: Path, cache: Path) -> None:
    files = layout(cifar, "binary")
    some = next(iter(files.values()))
    path = tmp_path / "in" / "cifar-10-binary.tar.gz"
    path.parent.mkdir()
    write_archive(path, {**files, "../escaped.bin": some, str(tmp_path / "absolute.bin"): some})
    assert load_dataset(path, cache=cache).name == "cifar10_selection"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["cache", "in"]
    assert list(path.parent.iterdir()) == [path]


@given(st.data())
def test_a_binary_batch_is_read_as_it_was_written(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 3))
    images = data.draw(npst.arrays(np.uint8, (n, 32, 32, 3)))
    labels = data.draw(npst.arrays(np.int64, n, elements=st.integers(0, 9)))
    pixels, targets = parse_binary(binary(images, labels), "here")
    np.testing.assert_array_equal(pixels, images)
    np.testing.assert_array_equal(targets, labels)
    assert (pixels.dtype, targets.dtype) == (np.dtype(np.uint8), np.dtype(np.int64))
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize("size", [0, 1, 3072, 3074, 2 * 3073 - 1])
def test_a_binary_batch_of_another_size_is_refused(size: int, refused: Callable[..., str]) -> None:
    refused(lambda: parse_binary(bytes(size), "here"), "here: ", "no whole records of 3073")


@pytest.mark.parametrize("label", [10, 255])
def test_a_binary_label_beyond_nine_is_refused(label: int, refused: Callable[..., str]) -> None:
    good = bytes(3073)
    refused(lambda: parse_binary(good + bytes([label]) + bytes(3072), "here"), "between 0 and 9")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_python_batch_of_any_protocol_is_read_or_refused(
    protocol: int, cifar: Batches, refused: Callable[..., str]
) -> None:
    """Later protocols keep arrays in other ways; 2 is the archive's and must be read."""
    images, labels = cifar[0][0], cifar[1][0]
    content = pickle.dumps(batch_of(images, labels), protocol)
    if protocol <= 2:
        np.testing.assert_array_equal(parse_python(content, "here")[0], images)
    elif b"_frombuffer" in content:
        refused(lambda: parse_python(content, "here"), "here: not a CIFAR-10 batch")


def test_a_batch_pickled_by_python_2_is_read(cifar: Batches) -> None:
    images, labels = cifar[0][0], cifar[1][0]
    content = python2(batch_of(images, labels))
    assert b"cnumpy.core.multiarray\n_reconstruct\n" in content
    assert b"numpy._core" not in content
    pixels, targets = parse_python(content, "here")
    np.testing.assert_array_equal(pixels, images)
    np.testing.assert_array_equal(targets, labels)


class Calls:
    """Unpickles as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *args: object) -> None:
        self._call = (function, args)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self._call


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("key", [b"data", b"labels", b"extra"])
@pytest.mark.parametrize(
    "call",
    [
        lambda marker: Calls(os.system, f"touch {marker}"),
        lambda marker: Calls(builtins.eval, f"open({str(marker)!r}, 'w')"),
        lambda marker: Calls(builtins.exec, f"open({str(marker)!r}, 'w')"),
        lambda marker: Calls(builtins.getattr, marker, "touch"),
        lambda marker: Calls(os.mkdir, str(marker)),
        lambda marker: Calls(np.load, str(marker)),
        lambda _: OrderedDict(),
        lambda marker: marker,
    ],
    ids=["system", "eval", "exec", "getattr", "mkdir", "numpy", "OrderedDict", "Path"],
)
def test_a_pickle_that_asks_for_anything_else_is_refused_unrun(
    call: Callable[[Path], object],
    key: bytes,
    protocol: int,
    cifar: Batches,
    tmp_path: Path,
    refused: Callable[..., str],
) -> None:
    marker = tmp_path / "marker"
    batch = {**batch_of(cifar[0][0], cifar[1][0]), key: call(marker)}
    content = pickle.dumps(batch, protocol)
    refused(lambda: parse_python(content, "here"), "here: not a CIFAR-10 batch (it asks for ")
    assert not marker.exists()


def test_the_marker_would_have_been_made(tmp_path: Path) -> None:
    """The pickles above do work where nothing stops them."""
    pickle.loads(pickle.dumps(Calls(os.system, f"touch {tmp_path / 'marker'}")))
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({b"data": np.array([None] * 20, dtype=object)}, "no uint8 array"),
        ({b"data": np.array([[object]] * 20, dtype=object)}, ""),
        ({b"data": np.zeros((20, 3072), dtype=np.int8)}, "no uint8 array"),
        ({b"data": [[0] * 3072] * 20}, "no uint8 array"),
        ({b"data": np.zeros((20, 3071), dtype=np.uint8)}, "(20, 3071)"),
        ({b"data": np.zeros((20, 32, 32, 3), dtype=np.uint8)}, "(20, 32, 32, 3)"),
        ({b"data": np.zeros((0, 3072), dtype=np.uint8), b"labels": []}, ""),
        ({b"labels": [0] * 19}, "labels do not fit"),
        ({b"labels": tuple([0] * 20)}, "labels do not fit"),
        ({b"labels": [0.0] * 20}, "no integer"),
        ({b"labels": [True] * 20}, "no integer"),
        ({b"labels": [[0]] * 20}, "no integer"),
        ({b"labels": [10] * 20}, "between 0 and 9"),
        ({b"labels": [-1] * 20}, "between 0 and 9"),
        ({b"labels": [10**30] * 20}, "between 0 and 9"),
    ],
    ids=[str(i) for i in range(15)],
)
def test_a_python_batch_of_the_wrong_content_is_refused(
    change: dict[bytes, Any], word: str, cifar: Batches, refused: Callable[..., str]
) -> None:
    batch = {**batch_of(cifar[0][0], cifar[1][0]), **change}
    refused(lambda: parse_python(pickle.dumps(batch, 2), "here"), "here: ", word)


@pytest.mark.parametrize("key", [b"data", b"labels"])
def test_a_python_batch_without_a_key_is_refused(
    key: bytes, cifar: Batches, refused: Callable[..., str]
) -> None:
    batch = batch_of(cifar[0][0], cifar[1][0])
    del batch[key]
    refused(lambda: parse_python(pickle.dumps(batch, 2), "here"), "here: not a CIFAR-10 batch")


@given(st.binary(max_size=60))
def test_bytes_that_are_no_pickle_are_refused(content: bytes) -> None:
    with pytest.raises(DataError) as error:
        parse_python(content, "here")
    assert "\n" not in str(error.value)


def test_the_archive_in_the_caches_downloads_is_checked_by_its_md5(
    cifar: Batches,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    refused: Callable[..., str],
) -> None:
    """It is used unasked, so a damaged one must not be; a file that you name may be anything."""
    name = "cifar-10-python.tar.gz"
    path = write_archive(tmp_path / name, layout(cifar, "python"))
    (cache / "downloads").mkdir(parents=True)
    kept = cache / "downloads" / name
    shutil.copy(path, kept)
    refused(lambda: load_dataset("cifar10", cache=cache), str(kept), "wrong MD5", "delete it")
    assert load_dataset(path, cache=cache).name == "cifar10_selection"
    monkeypatch.setitem(cifar10.MD5, name, hash_of(kept))
    data = load_dataset("cifar10", cache=cache)
    assert data.source == "cifar10"
