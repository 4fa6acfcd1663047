"""Decoded once, found again by content, mended when damaged."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinysight.files import cache_folder
from training.data import Dataset, folder, load_dataset

Files = dict[str, bytes]
Write = Callable[..., Path]


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The sources that were decoded so far."""
    log: list[Path] = []
    decode = folder.decode

    def logged(path: Path, *rest: object) -> object:
        log.append(path)
        return decode(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(folder, "decode", logged)
    return log


def same(a: Dataset, b: Dataset) -> bool:
    return a.fingerprint == b.fingerprint and bool(
        (a.images == b.images).all() and (a.targets == b.targets).all() and a.labels == b.labels
    )


def test_the_second_load_maps_the_first_ones_arrays(
    files: Files, folder: Write, cache: Path, decodings: list[Path]
) -> None:
    root = folder(files)
    first, second = load_dataset(root, cache=cache), load_dataset(root, cache=cache)
    assert decodings == [root]
    assert same(first, second)
    for data in (first, second):
        assert isinstance(data.images, np.memmap)
        assert not data.images.flags.writeable


def test_changed_content_gets_an_entry_of_its_own(
    files: Files, folder: Write, cache: Path, decodings: list[Path]
) -> None:
    root = folder(files)
    first = load_dataset(root, cache=cache)
    (root / "train/cat/0.png").write_bytes(files["train/dog/3.png"])
    second = load_dataset(root, cache=cache)
    assert len(decodings) == 2
    assert first.fingerprint != second.fingerprint
    assert len(list((cache / "decoded").iterdir())) == 2
    (root / "train/cat/0.png").rename(root / "train/dog/moved.png")
    assert len(load_dataset(root, cache=cache).parts["train"]) == 10
    assert len(decodings) == 3


def test_another_size_gets_an_entry_of_its_own(
    files: Files, folder: Write, cache: Path, decodings: list[Path]
) -> None:
    root = folder(files)
    for size in ((8, 8), (8, 9), (9, 8), (8, 8)):
        assert load_dataset(root, cache=cache, size=size).images.shape[1:3] == size
    assert len(decodings) == 3


def test_the_same_content_elsewhere_is_not_decoded_again(
    files: Files, folder: Write, cache: Path, decodings: list[Path]
) -> None:
    root = folder(files)
    load_dataset(root, cache=cache)
    moved = root.rename(root.with_name("elsewhere"))
    assert load_dataset(moved, cache=cache).name == "elsewhere"
    assert len(decodings) == 1


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda _: b"",
    "cut": lambda content: content[:-1],
    "headless": lambda content: content[40:],
    "rubbish": lambda _: b"rubbish" * 50,
    "a list": lambda _: b"[]",
    "other types": lambda _: b'{"labels": [], "counts": [], "fingerprint": 1}',
    "a wrong dtype": lambda content: content.replace(b"|u1", b"<f8").replace(b"<i8", b"<f8"),
    "a huge shape": lambda content: content.replace(b"(14,", b"(99999999999,"),
}


@pytest.mark.parametrize(
    ("name", "damage"),
    [(name, damage) for name in ("images.npy", "targets.npy") for damage in DAMAGE]
    + [("meta.json", damage) for damage in list(DAMAGE)[:6]],
)
def test_a_damaged_entry_is_rebuilt(
    name: str, damage: str, files: Files, folder: Write, cache: Path, decodings: list[Path]
) -> None:
    root = folder(files)
    expected = load_dataset(root, cache=cache).fingerprint
    (file,) = cache.glob(f"decoded/*/{name}")
    kept = file.read_bytes()
    assert DAMAGE[damage](kept) != kept
    file.unlink()  # not written over: the first data set still maps it
    file.write_bytes(DAMAGE[damage](kept))
    assert load_dataset(root, cache=cache).fingerprint == expected
    assert len(decodings) == 2
    assert file.read_bytes() == kept
    assert [path.name for path in (cache / "decoded").iterdir()] == [file.parent.name]


@pytest.mark.parametrize("name", ["images.npy", "targets.npy", "meta.json"])
def test_an_entry_that_lacks_a_file_is_rebuilt(
    name: str, files: Files, folder: Write, cache: Path
) -> None:
    root = folder(files)
    expected = load_dataset(root, cache=cache).fingerprint
    (file,) = cache.glob(f"decoded/*/{name}")
    file.unlink()
    assert load_dataset(root, cache=cache).fingerprint == expected
    assert file.is_file()


def test_an_interrupted_decoding_leaves_nothing(
    files: Files, folder: Write, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    root = folder(files)
    with monkeypatch.context() as patch:
        patch.setattr(np, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_dataset(root, cache=cache)
    assert list((cache / "decoded").iterdir()) == []
    assert load_dataset(root, cache=cache).labels == ("cat", "dog")


def test_two_processes_may_decode_the_same_at_once(
    files: Files, folder: Write, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other's entry appears just before this one's is moved into place, and is taken."""
    root = folder(files)
    expected = load_dataset(root, cache=tmp_path / "other").fingerprint
    (theirs,) = (tmp_path / "other" / "decoded").iterdir()
    rename = Path.rename

    def beaten(self: Path, target: Path) -> Path:
        shutil.copytree(theirs, target)
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", beaten)
        assert load_dataset(root, cache=cache).fingerprint == expected
    assert [entry.name for entry in (cache / "decoded").iterdir()] == [theirs.name]


@pytest.mark.parametrize("name", ["digits", "cifar10", "folder"])
def test_a_cache_that_cannot_be_written_is_one_line(
    name: str, files: Files, folder: Write, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """A file where the cache's folder should be stops root, too."""
    source = folder(files) if name == "folder" else name
    (tmp_path / "file").write_bytes(b"")
    refused(lambda: load_dataset(source, cache=tmp_path / "file"), str(tmp_path / "file"))


def test_the_cache_is_where_the_environment_says(
    files: Files, folder: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYSIGHT_CACHE", str(tmp_path / "named"))
    load_dataset(folder(files))
    assert len(list((tmp_path / "named" / "decoded").iterdir())) == 1
    monkeypatch.delenv("TINYSIGHT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "tinysight"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "tinysight"
