"""Class folders, on disk and in archives: what is read, and what is said when it is wrong."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinysight.preprocess import to_pixels
from training.data import load_dataset
from training.data.folder import archive_members

Files = dict[str, bytes]
Write = Callable[..., Path]


def tree(root: Path) -> set[str]:
    """Every path below `root` but for the cache's."""
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if "cache" not in path.relative_to(root).parts
    }


def test_a_folder_gives_labels_parts_and_the_pixels_a_device_would_see(
    files: Files, folder: Write, cache: Path
) -> None:
    root = folder(files)
    data = load_dataset(root, size=(6, 5), cache=cache)
    assert data.labels == ("cat", "dog")
    assert (data.name, data.title, data.source) == ("pets", "pets", str(root.resolve()))
    assert data.notes == ()
    assert {part: len(indices) for part, indices in data.parts.items()} == {"train": 10, "test": 4}
    assert data.images.shape == (14, 6, 5, 3)
    found = {
        (data.labels[data.targets[i]], data.images[i].tobytes()) for i in range(len(data.images))
    }
    expected = {
        (name.split("/")[1], to_pixels(content, 6, 5).tobytes()) for name, content in files.items()
    }
    assert found == expected
    train = {data.images[i].tobytes() for i in data.parts["train"]}
    assert train == {
        to_pixels(content, 6, 5).tobytes()
        for name, content in files.items()
        if name.startswith("train/")
    }


@pytest.mark.parametrize("prefix", ["", "./", "pets-1.0/", "./wrapped/"])
@pytest.mark.parametrize("name", ["pets.tar.gz", "pets.tar"])
def test_an_archive_gives_what_its_folder_gives(
    prefix: str, name: str, files: Files, folder: Write, archive: Write, cache: Path
) -> None:
    from_folder = load_dataset(folder(files), cache=cache)
    path = archive({prefix + inner: content for inner, content in files.items()}, name)
    from_archive = load_dataset(path, cache=cache)
    assert from_archive.fingerprint == from_folder.fingerprint
    assert from_archive.name == "pets"
    np.testing.assert_array_equal(from_archive.images, from_folder.images)
    np.testing.assert_array_equal(from_archive.targets, from_folder.targets)


def test_the_order_in_an_archive_does_not_matter(files: Files, archive: Write, cache: Path) -> None:
    forth = load_dataset(archive(files, "a.tar"), cache=cache)
    back = load_dataset(archive(dict(reversed(files.items())), "b.tar"), cache=cache)
    assert forth.fingerprint == back.fingerprint


def test_pictures_may_have_any_size_and_format(
    picture: Callable[..., bytes], folder: Write, cache: Path
) -> None:
    forms = [
        ("PNG", (3, 9)),
        ("JPEG", (40, 20)),
        ("BMP", (8, 8)),
        ("GIF", (1, 1)),
        ("TIFF", (9, 2)),
    ]
    content = {
        f"train/{label}/{i}.{form.lower()}": picture(i + 1, form, size)
        for label in ("a", "b")
        for i, (form, size) in enumerate(forms)
    }
    data = load_dataset(folder(content), size=(8, 8), cache=cache)
    assert data.images.shape == (10, 8, 8, 3)


def test_val_is_kept_where_it_is_given(files: Files, folder: Write, cache: Path) -> None:
    content = {
        **files,
        "val/cat/x.png": files["test/cat/0.png"],
        "val/dog/y.png": files["test/dog/0.png"],
    }
    data = load_dataset(folder(content), cache=cache)
    assert {part: len(indices) for part, indices in data.parts.items()} == {
        "train": 10, "val": 2, "test": 4,
    }  # fmt: skip
    kept = [data.images[i].tobytes() for i in data.parts["val"]]
    assert kept == [
        to_pixels(content[name], 32, 32).tobytes() for name in ("val/cat/x.png", "val/dog/y.png")
    ]


def test_without_test_images_a_fifth_of_each_class_is_held_out(
    files: Files, folder: Write, cache: Path
) -> None:
    data = load_dataset(folder({n: c for n, c in files.items() if "test" not in n}), cache=cache)
    assert len(data.parts["test"]) == 2
    assert sorted(data.targets[data.parts["test"]]) == [0, 1]
    assert len(data.parts["train"]) == 8
    assert data.notes == (
        "the data has no test images: 20% of each class are held out for testing",
    )


def test_files_beside_the_classes_and_litter_are_left_out(
    files: Files, folder: Write, archive: Write, cache: Path
) -> None:
    litter = {
        "README.txt": b"hello",
        "train/labels.csv": b"hello",
        "train/.DS_Store": b"x",
        "train/cat/.DS_Store": b"x",
        "train/cat/._0.png": b"x",
        "train/cat/Thumbs.db": b"x",
        "train/.git/config": b"x",
        "other/cat/0.png": b"x",
    }
    clean = load_dataset(archive(files), cache=cache)
    assert load_dataset(folder({**files, **litter}), cache=cache).fingerprint == clean.fingerprint
    path = archive({**files, **litter}, "littered.tar.gz")
    assert load_dataset(path, cache=cache).fingerprint == clean.fingerprint


def test_pictures_in_folders_below_a_class_belong_to_it(
    files: Files, folder: Write, cache: Path
) -> None:
    root = folder({**files, "train/cat/more/deep/9.png": files["train/cat/0.png"]})
    assert len(load_dataset(root, cache=cache).parts["train"]) == 11


def test_classes_may_be_at_the_top_of_a_folder(files: Files, folder: Write, cache: Path) -> None:
    train = {name: content for name, content in files.items() if name.startswith("train/")}
    expected = load_dataset(folder(train), cache=cache).fingerprint
    root = folder({}).with_name("flat")
    (folder({}) / "train").rename(root)
    assert load_dataset(root, cache=cache).fingerprint == expected


def test_files_that_are_no_pictures_are_left_out_and_counted(
    files: Files, folder: Write, archive: Write, cache: Path
) -> None:
    content = {**files, "train/cat/notes.txt": b"hello", "test/dog/labels.csv": b"0,1"}
    for path in (folder(content), archive(content)):
        for _ in range(2):  # decoded, and from the cache
            data = load_dataset(path, cache=cache)
            assert len(data.images) == len(files)
            assert data.notes == ("files that are no pictures, and are left out: 2",)


def test_broken_pictures_are_skipped_where_that_is_asked_for(
    files: Files, folder: Write, cache: Path, refused: Callable[..., str]
) -> None:
    root = folder({**files, "train/cat/bad.png": b"no image"})
    data = load_dataset(root, cache=cache, skip_broken=True)
    assert data.fingerprint == load_dataset(root, cache=cache, skip_broken=True).fingerprint
    assert data.notes == ("pictures that cannot be read, and are left out: 1",)
    refused(lambda: load_dataset(root, cache=cache), "train/cat/bad.png")


def drop(files: Files, *starts: str) -> Files:
    return {name: content for name, content in files.items() if not name.startswith(starts)}


@pytest.mark.parametrize("kind", ["folder", "archive"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda f: {**f, "train/cat/bad.png": b"no image"},
            ["train/cat/bad.png: not an image that tinysight reads"],
        ),
        (
            lambda f: {**f, "train/cat/cut.png": f["train/cat/0.png"][:44]},
            ["train/cat/cut.png: ", "truncated"],
        ),
        (
            lambda f: {**f, "train/cat/1.png": b"", "test/dog/0.png": b"x", "train/dog/n": b""},
            [
                "3 pictures cannot be read; --skip-broken goes on without: ",
                "train/cat/1.png: ", "; test/dog/0.png: ", "train/dog/n: ",
            ],
        ),
        (lambda f: {**f, "train/bird/": b""}, ["train/bird holds no picture"]),
        (
            lambda f: {**f, "train/bird/a.png": b"x", "test/bird/0.png": f["test/cat/0.png"]},
            ["train/bird holds no picture; what cannot be read: train/bird/a.png: "],
        ),
        (
            lambda f: {**f, "train/bird/": b"", "test/bird/": b""},
            ["train/bird holds no picture"],
        ),
        (
            lambda f: {**drop(f, "test/cat"), "test/cat/": b""},
            ["test/cat holds no picture"],
        ),
        (lambda f: drop(f, "test/cat"), ["test/ has no class 'cat', which train/ has"]),
        (
            lambda f: {**f, "test/bird/0.png": f["test/cat/0.png"]},
            ["test/ has the class 'bird', which train/ has not"],
        ),
        (
            lambda f: {**f, "val/cat/0.png": f["test/cat/0.png"]},
            ["val/ has no class 'dog', which train/ has"],
        ),
        (
            lambda f: drop(f, "train/dog", "test/dog"),
            ["train/ has only the class 'cat'; two are needed"],
        ),
        (lambda f: drop(f, "train"), ["no class folders; expected is train/<class>/<picture>"]),
        (lambda _: {"readme.txt": b"hello"}, ["no class folders"]),
        (lambda _: {}, ["no class folders"]),
        (
            lambda f: drop(f, "test", "train/dog/1", "train/dog/2", "train/dog/3", "train/dog/4"),
            ["the class 'dog' has only 1 pictures: too few to split 20% of each class off"],
        ),
    ],
    ids=[
        "broken picture", "truncated picture", "three broken", "empty class", "broken class",
        "empty in both",
        "empty in test", "missing in test", "extra in test", "missing in val", "one class",
        "no train", "no pictures", "nothing", "class too small",
    ],
)  # fmt: skip
def test_what_cannot_be_trained_on_is_one_line(
    kind: str,
    change: Callable[[Files], Files],
    words: list[str],
    files: Files,
    folder: Write,
    archive: Write,
    refused: Callable[..., str],
) -> None:
    path = (folder if kind == "folder" else archive)(change(files))
    refused(lambda: load_dataset(path), *words)


def test_an_unknown_name_lists_the_known_ones(refused: Callable[..., str], cache: Path) -> None:
    refused(
        lambda: load_dataset("cifar100", cache=cache),
        "'cifar100' is neither a file, nor a folder, nor a data set (digits, cifar10)",
    )


@pytest.mark.parametrize("name", ["pets.tar.gz", "pets.tar"])
def test_a_truncated_archive_is_one_line_wherever_it_was_cut(
    name: str, files: Files, archive: Write, refused: Callable[..., str]
) -> None:
    """tarfile takes a header that is cut for the end: pictures would be missing unnoticed."""
    path = archive(files, name)
    content = path.read_bytes()
    whole = list(archive_members(path))
    assert len(whole) == len(files)
    # Up to the last picture every cut loses one; of a plain tar, cuts about every block.
    last = len(files) * 1024
    lengths = range(len(content)) if name.endswith("gz") else range(0, last, 73)
    edges = [] if name.endswith("gz") else [at + i for at in range(0, last, 512) for i in (0, 1)]
    for length in [*lengths, *edges]:
        path.write_bytes(content[:length])
        refused(lambda: list(archive_members(path)), str(path), "not a whole tar archive")


def test_a_damaged_header_in_an_archive_is_one_line(
    files: Files, archive: Write, cache: Path, refused: Callable[..., str]
) -> None:
    path = archive(files, "pets.tar")
    content = bytearray(path.read_bytes())
    content[5 * 1024] ^= 1
    path.write_bytes(content)
    refused(lambda: load_dataset(path, cache=cache), "not a whole tar archive")


@pytest.mark.parametrize("ending", ["gz", "xz", "bz2"])
def test_a_damaged_archive_is_one_line(
    ending: str, files: Files, tmp_path: Path, cache: Path, refused: Callable[..., str]
) -> None:
    path = tmp_path / f"pets.tar.{ending}"
    with tarfile.open(path, f"w:{ending}") as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    assert load_dataset(path, cache=cache).labels == ("cat", "dog")
    damaged = bytearray(path.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 40] = bytes(40)
    path.write_bytes(damaged)
    refused(lambda: load_dataset(path, cache=cache), str(path))


def test_a_file_that_is_no_archive_is_one_line(
    files: Files, tmp_path: Path, cache: Path, refused: Callable[..., str]
) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(files["train/cat/0.png"])
    refused(lambda: load_dataset(path, cache=cache), "cat.png: not a whole tar archive")


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "../../train/cat/x.png",
        "train/../../x.png",
        "train/cat/../../../x.png",
        "{root}/outside/x.png",
        "{root}/outside/train/cat/x.png",
    ],
)
def test_hostile_names_write_nothing(
    name: str, files: Files, archive: Write, cache: Path, tmp_path: Path
) -> None:
    hostile = name.format(root=tmp_path)
    path = archive({**files, hostile: files["train/cat/0.png"]})
    before = tree(tmp_path), tree(tmp_path.parent)
    assert load_dataset(path, cache=cache).labels == ("cat", "dog")
    assert (tree(tmp_path), tree(tmp_path.parent)) == before


@pytest.mark.parametrize(
    "again",
    [
        lambda f: {f"copy/{name}": content for name, content in f.items()},
        lambda f: {"./train/cat/0.png": f["train/dog/0.png"]},
    ],
    ids=["two data sets", "one name twice"],
)
def test_pictures_that_would_replace_each_other_are_refused(
    again: Callable[[Files], Files],
    files: Files,
    archive: Write,
    cache: Path,
    refused: Callable[..., str],
) -> None:
    """The second used to take the first one's place: half the pictures, and no word of it."""
    path = archive({**files, **again(files)})
    refused(lambda: load_dataset(path, cache=cache), str(path), "two pictures are train/cat/0.png")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_pipes_are_not_followed(
    kind: bytes, files: Files, archive: Write, cache: Path, tmp_path: Path
) -> None:
    """A link to a picture outside brings that picture in nowhere, and none is made."""
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8), (1, 2, 3)).save(secret)
    link = tarfile.TarInfo("train/cat/link.png")
    link.type, link.linkname = kind, str(secret)
    folder_link = tarfile.TarInfo("test/cat")
    folder_link.type, folder_link.linkname = kind, str(tmp_path)
    path = archive(files, members=(link, folder_link))
    before = tree(tmp_path)
    data = load_dataset(path, cache=cache)
    assert len(data.images) == len(files)
    assert not (data.images == (1, 2, 3)).all(axis=-1).any()
    assert tree(tmp_path) == before


def test_a_member_that_claims_to_be_huge_is_refused_unread(
    files: Files, tmp_path: Path, cache: Path, refused: Callable[..., str]
) -> None:
    member = tarfile.TarInfo("train/cat/huge.png")
    member.size = 1 << 40
    path = tmp_path / "huge.tar"
    path.write_bytes(member.tobuf() + files["train/cat/0.png"].ljust(512, b"\0"))
    refused(lambda: load_dataset(path, cache=cache), "huge.png has 1,099,511,627,776 bytes")


def test_reading_tells_its_progress(files: Files, folder: Write, cache: Path) -> None:
    told: list[str] = []
    load_dataset(folder(files), cache=cache, progress=lambda what, *_: told.append(what))
    assert told[0] == "looking for changes"
