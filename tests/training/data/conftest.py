"""A cache of its own for every test, class folders and tar archives to read, one-line errors."""

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data import DataError

Files = Mapping[str, bytes]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def _no_other_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYSIGHT_CACHE", str(cache))


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    """An encoded picture of one colour that `number` gives."""

    def encode(number: int, form: str = "PNG", size: tuple[int, int] = (8, 8)) -> bytes:
        stream = io.BytesIO()
        colour = (37 * number % 256, 91 * number % 256, 53 * number % 256)
        Image.new("RGB", size, colour).save(stream, form)
        return stream.getvalue()

    return encode


@pytest.fixture(scope="session")
def files(picture: Callable[..., bytes]) -> dict[str, bytes]:
    """Two classes, five pictures each to train on and two to test."""
    return {
        f"{part}/{label}/{i}.png": picture(100 * p + 10 * c + i)
        for p, (part, n) in enumerate([("train", 5), ("test", 2)])
        for c, label in enumerate(["cat", "dog"])
        for i in range(n)
    }


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[Files], Path]:
    """Writes files below a folder `pets`; a name that ends in / is a folder."""

    def write(content: Files) -> Path:
        root = tmp_path / "pets"
        root.mkdir(exist_ok=True)
        for name, data in content.items():
            path = root / name
            if name.endswith("/"):
                path.mkdir(parents=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return root

    return write


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., Path]:
    """Writes files, and members made by hand, into a tar archive."""

    def write(
        content: Files, name: str = "pets.tar.gz", members: tuple[tarfile.TarInfo, ...] = ()
    ) -> Path:
        path = tmp_path / name
        with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as tar:
            for member in members:
                tar.addfile(member)
            for inner, data in content.items():
                member = tarfile.TarInfo(inner.rstrip("/"))
                if inner.endswith("/"):
                    member.type = tarfile.DIRTYPE
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        return path

    return write


@pytest.fixture(scope="session")
def refused() -> Callable[..., str]:
    """Calls, and demands a DataError in one line that has all the words."""

    def check(call: Callable[[], object], *words: str) -> str:
        with pytest.raises(DataError) as error:
            call()
        message = str(error.value)
        assert "\n" not in message
        for word in words:
            assert word in message
        return message

    return check


@pytest.fixture(scope="session")
def cifar() -> tuple[np.ndarray, np.ndarray]:
    """Six batches of 20 images, uint8 (6, 20, 32, 32, 3), and labels, int64 (6, 20)."""
    images = np.random.default_rng(3).integers(0, 256, (6, 20, 32, 32, 3), dtype=np.uint8)
    return images, np.tile(np.arange(10), (6, 2))
